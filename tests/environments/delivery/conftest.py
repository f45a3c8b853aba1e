"""A shop with staging and production on the `command` provider, with real commands and a real health address."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import Job, JobState
from environments.delivery import extension
from environments.models import Application, Component, DiagnosisRun, Environment, Promotion, Release
from environments.services import promotions, releases

PREPARE = """#!/bin/sh
echo "prepare $3" >> "$4"
[ -e "$4.hang-prepare" ] && { echo $$ > "$4.hanging"; while [ -e "$4.hang-prepare" ]; do sleep 0.05; done; }
[ -e "$4.fail-prepare" ] && { echo "no such image" >&2; exit 3; }
echo "$2" > "$1/artifact"
"""
RESTART = """#!/bin/sh
echo "restart $1 $2" >> "$3"
[ -e "$3.hang-restart" ] && { echo $$ > "$3.hanging"; while [ -e "$3.hang-restart" ]; do sleep 0.05; done; }
[ -e "$3.fail-restart-$1" ] && { echo "port in use" >&2; exit 1; }
exit 0
"""


@dataclass
class Shop:
    """The application under test and what surrounds it."""

    application: Application
    staging: Environment
    production: Environment
    effects_file: Path
    releases_dir: Path
    cast: dict[str, User]
    #: Releases that answer their health check with 503.
    ill: set[str]

    @property
    def effects(self) -> list[str]:
        """What the commands did, in order."""
        return self.effects_file.read_text().splitlines() if self.effects_file.exists() else []

    def switch(self, name: str, *, on: bool = True) -> None:
        """Makes the commands hang or fail: hang-prepare, hang-restart, fail-prepare, fail-restart-VERSION."""
        path = Path(f"{self.effects_file}.{name}")
        path.touch() if on else path.unlink()

    def serves(self, environment: str, component: str = "web") -> str:
        """What `current` names on the disk."""
        link = self.releases_dir / "shop" / environment / component / "current"
        return link.readlink().name if link.is_symlink() else ""

    def release(self, version: str, **more: Any) -> Release:
        artifacts = {"web": f"image-{version}"}
        return releases.record_release(
            application=self.application, version=version, actor=self.cast["alice"], **{"artifacts": artifacts, **more}
        )

    def diagnosed(self) -> None:
        for environment in (self.staging, self.production):
            DiagnosisRun.objects.create(environment=environment, state="complete", finished_at=timezone.now())

    def started(self, version: str = "1.0.0") -> Release:
        """The first release serves in both environments, and both are diagnosed."""
        release = self.release(version)
        for environment in (self.staging, self.production):
            promotions.initial_deployment(release=release, environment=environment, actor=self.cast["bob"])
        drain()
        self.diagnosed()
        return release

    def staged(self, version: str, **more: Any) -> Release:
        """A new release that serves in staging."""
        release = self.release(version, **more)
        promotion = promotions.request_promotion(release=release, target=self.staging, requester=self.cast["alice"])
        drain()
        promotion.refresh_from_db()
        assert promotion.state == "succeeded", promotion.outcome
        return release

    def requested(self, version: str, **more: Any) -> Promotion:
        """A promotion to production that waits for its approval."""
        release = self.staged(version, **more)
        promotion = promotions.request_promotion(release=release, target=self.production, requester=self.cast["alice"])
        drain()
        promotion.refresh_from_db()
        return promotion

    def approved(self, promotion: Promotion) -> Promotion:
        promotions.approve(promotion=promotion, approver=self.cast["bob"], digest=promotion.digest)
        promotion.refresh_from_db()
        return promotion


def drain(*kinds: str) -> list[Job]:
    """Runs every queued job in this process until none is left, as a worker would; returns them as they ended."""
    ran: list[Job] = []
    while True:
        queued = Job.objects.filter(state=JobState.QUEUED).order_by("id")
        job = (queued.filter(kind__in=kinds) if kinds else queued).first()
        if job is None:
            return ran
        jobs.run(job.pk)
        job.refresh_from_db()
        ran.append(job)


@pytest.fixture
def only_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gates and steps of this floor alone: what the plug-ins contribute has tests of its own."""
    mine = "environments.delivery"
    monkeypatch.setattr(
        extension, "_gates", {key: gate for key, gate in extension._gates.items() if gate.evaluate.__module__.startswith(mine)}
    )
    steps = {key: step for key, step in extension._steps.items() if type(step).__module__.startswith(mine)}
    monkeypatch.setattr(extension, "_steps", steps)


@pytest.fixture
def health_server() -> Iterator[Callable[..., str]]:
    """``health_server(answer)`` -> URL of a server that answers with what ``answer()`` returns: (status, body)."""
    servers = []

    def start(answer: Callable[[], tuple[int, Any]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = answer()
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/health"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, Any]:
    """The allow-list: a prepare and a restart command that write down what they do."""
    effects = tmp_path / "effects"
    for name, text in (("prepare.sh", PREPARE), ("restart.sh", RESTART)):
        (tmp_path / name).write_text(text)
    return {
        "make-ready": {
            "argv": ["/bin/sh", str(tmp_path / "prepare.sh"), "{release_dir}", "{artifact}", "{release}", str(effects)],
            "timeout_seconds": 20,
        },
        "take-over": {
            "argv": ["/bin/sh", str(tmp_path / "restart.sh"), "{release}", "{environment}", str(effects)],
            "timeout_seconds": 20,
        },
    }


@pytest.fixture
def provider_settings(settings: Any, tmp_path: Path, commands: dict[str, Any]) -> Path:
    """The `command` provider's allow-list and its directory, which is returned."""
    settings.EVENKEEL_COMMANDS = commands
    settings.EVENKEEL_RELEASES_DIR = tmp_path / "releases"
    return tmp_path / "releases"


@pytest.fixture
def shop(db: None, cast: dict[str, User], provider_settings: Path, health_server: Callable[..., str]) -> Shop:
    application = Application.objects.create(slug="shop", name="Shop")
    staging = Environment.objects.create(
        application=application, name="staging", tier="staging", order=1, data_class="masked", soak_seconds=0
    )
    production = Environment.objects.create(
        application=application,
        name="production",
        tier="production",
        order=2,
        data_class="personal",
        soak_seconds=0,
        promotes_from=staging,
        protected=True,
        required_approvals=1,
        is_source_of_truth=True,
    )
    shop = Shop(application, staging, production, provider_settings.parent / "effects", provider_settings, cast, set())

    def answer(environment: str) -> Callable[[], tuple[int, Any]]:
        def look() -> tuple[int, Any]:
            version = shop.serves(environment)
            return (503 if version in shop.ill else 200), {"release": version}

        return look

    for environment in (staging, production):
        Component.objects.create(
            environment=environment,
            name="web",
            kind="backend",
            provider="command",
            settings={"prepare": "make-ready", "restart": "take-over", "health_seconds": 0.5},
            health_url=health_server(answer(environment.name)),
        )
    return shop
