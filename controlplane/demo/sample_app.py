"""The sample application: a tiny HTTP server that reads its environment's database and shows its release.

It is copied into a release directory by `deploy_tool.py prepare`, beside ``release.json``, and started from there with the
variables of its environment. It knows nothing of Evenkeel but the address to which it reports errors.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import threading
import time
import traceback
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg

RELEASE: dict[str, Any] = json.loads((Path(__file__).parent / "release.json").read_text())
REPORT_SECONDS = 1.0
WITHOUT_REMINDERS = "SELECT id, title, capacity FROM sessions ORDER BY starts_at"
WITH_REMINDERS = "SELECT id, title, capacity, reminder_hours FROM sessions ORDER BY starts_at"


class Reporter(threading.Thread):
    """Counts requests, gathers errors, and sends both once a second."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(daemon=True)
        self.url, self.key = url, key
        self._lock = threading.Lock()
        self._requests = 0
        self._events: list[dict[str, Any]] = []

    def request(self) -> None:
        with self._lock:
            self._requests += 1

    def error(self, error: Exception, *, operation: str, user: str) -> None:
        event = {
            "event_id": str(uuid.uuid4()),
            "type": type(error).__name__,
            "message": str(error),
            "occurred_at": datetime.now(UTC).isoformat(),
            "component": "web",
            "operation": operation,
            "user": user,
            "stack": "".join(traceback.format_exception(error)),
        }
        with self._lock:
            self._events.append(event)

    def run(self) -> None:
        while True:
            time.sleep(REPORT_SECONDS)
            with self._lock:
                requests, self._requests = self._requests, 0
                events, self._events = self._events[:100], self._events[100:]
            if requests or events:
                self._send({"release": RELEASE["version"], "requests": requests, "events": events})

    def _send(self, payload: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.url, json.dumps(payload).encode(), headers)  # noqa: S310 - the address is an argument
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310
                pass
        except (urllib.error.URLError, OSError) as failure:
            print(f"report not delivered: {failure}", flush=True)


class Handler(BaseHTTPRequestHandler):
    reporter: Reporter
    environment: str

    def do_GET(self) -> None:
        pages = {"/health": self.health, "/": self.sessions, "/learner": self.learner}
        page = pages.get(self.path.split("?")[0])
        if page is None:
            return self.answer(404, {"error": "no such page"})
        if page is not self.health:
            self.reporter.request()
        try:
            self.answer(200, page())
        except Exception as error:  # noqa: BLE001 - the last line of defence of a web server
            self.reporter.error(error, operation=f"GET {self.path.split('?')[0]}", user="")
            self.answer(500, {"error": "internal error", "release": RELEASE["version"]})
        return None

    def health(self) -> dict[str, Any]:
        with connect() as connection:
            connection.execute("SELECT 1")
        return {"status": "ok", "release": RELEASE["version"], "environment": self.environment}

    def sessions(self) -> dict[str, Any]:
        with connect() as connection:
            rows = connection.execute(WITH_REMINDERS if "reminders" in RELEASE["features"] else WITHOUT_REMINDERS).fetchall()
        return {"release": RELEASE["version"], "sessions": len(rows), "next": rows[0][1] if rows else None}

    def learner(self) -> dict[str, Any]:
        with connect() as connection:
            row = connection.execute("SELECT full_name, joined_at FROM learners ORDER BY random() LIMIT 1").fetchone()
        name, joined_at = row or ("", None)
        page: dict[str, Any] = {"release": RELEASE["version"], "initials": "".join(part[0] for part in name.split())}
        if "member-since" in RELEASE["features"]:
            # Release 1.2.0 trusts that everybody has a date of joining. On staging that is true.
            page["member_since"] = joined_at.year
        return page

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are counted, not logged."""


def connect() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=3, application_name="sample-app")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--report-to", required=True)
    parser.add_argument("--report-key-file", type=Path, required=True)
    arguments = parser.parse_args()
    random.seed()
    Handler.environment = arguments.environment
    Handler.reporter = Reporter(arguments.report_to, arguments.report_key_file.read_text().strip())
    Handler.reporter.start()
    ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
