"""How long data work takes, against the least that it could take.

    python -m tests.benchmarks.data [--messages N] [--rounds N] [--json]

The bound is a plain binary COPY of the same rows into tables without an index, by psycopg, unmasked and unproven. Rounds are
interleaved and medians reported, wall clock and CPU (this process and the server): on a shared machine trust the CPU column.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import IsolationLevel

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from tests.helpers import wait_until

SCHEMA = """
CREATE TABLE merchants (id bigint PRIMARY KEY, name text NOT NULL, email text UNIQUE, phone text);
CREATE TABLE conversations (
    id bigint PRIMARY KEY, merchant_id bigint NOT NULL REFERENCES merchants, customer text, handle text, topic text,
    at timestamptz
);
CREATE TABLE messages (
    id bigint PRIMARY KEY, conversation_id bigint NOT NULL REFERENCES conversations, author text, body text, channel text,
    tokens int, meta jsonb, at timestamptz
);
CREATE INDEX ON conversations (merchant_id);
CREATE INDEX ON messages (conversation_id);
CREATE INDEX ON messages (at);
"""
TABLES = ("merchants", "conversations", "messages")


def fill(connection: psycopg.Connection, messages: int) -> None:
    conversations = max(1, messages // 10)
    merchants = max(1, messages // 500)
    connection.execute(
        "INSERT INTO merchants SELECT n, 'Merchant ' || n, 'm' || n || '@real.example', '+49171' || n "
        "FROM generate_series(1, %s) AS n",
        [merchants],
    )
    connection.execute(
        "INSERT INTO conversations SELECT n, 1 + n %% %s, 'Customer ' || n, '@h' || n, 'topic ' || n %% 50, now() "
        "FROM generate_series(1, %s) AS n",
        [merchants, conversations],
    )
    connection.execute(
        "INSERT INTO messages SELECT n, 1 + n %% %s, 'author ' || n %% 1000, repeat('words of message ' || n || ' ', 4), "
        "'whatsapp', n %% 500, jsonb_build_object('n', n), now() FROM generate_series(1, %s) AS n",
        [conversations, messages],
    )


_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


class Clock:
    """Wall and CPU seconds of this process and of the server with all its sessions that ended."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server_pid = server.pid
        self.watch = psycopg.connect(server.url(), autocommit=True)

    def measure(self, work: Callable[[], object]) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), self._cpu()
        work()
        wall = time.perf_counter() - wall
        # The server counts a session's CPU when it has ended.
        wait_until(lambda: self.watch.execute(_SESSIONS).fetchone() == (0,), what="the sessions to end")
        seen = [-1.0]

        def steady() -> bool:
            seen.append(self._server_cpu())
            return seen[-1] == seen[-2]

        wait_until(steady, what="the server to count their CPU")
        return wall, self._cpu() - cpu

    def _cpu(self) -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system + self._server_cpu()

    def _server_cpu(self) -> float:
        fields = Path(f"/proc/{self.server_pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-") as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedPostgres(Path(directory) / "pg", postgres_bin_dirs()[18])
        server.start()
        try:
            report(run(server, Path(directory), options.messages, options.rounds), options.json)
        finally:
            server.stop()


def run(server: EmbeddedPostgres, directory: Path, messages: int, rounds: int) -> dict[str, tuple[float, float]]:
    configure(server, directory)
    from environments.data import dumps, parity
    from environments.data.copying import copy_tables
    from environments.data.direction import Side, check_direction, open_sessions
    from environments.data.masking import Strategy
    from environments.data.tables import TableName

    urls = {name: server.create_database(name) for name in ("production", "staging", "bare")}
    for name, url in urls.items():
        os.environ[f"TARGET_{name.upper()}"] = url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SCHEMA)  # type: ignore[call-overload]
            if name == "production":
                fill(connection, messages)
                connection.execute("VACUUM ANALYZE")
    names = [TableName("public", table) for table in TABLES]
    rules = {(names[0], "email"): Strategy.EMAIL, (names[0], "name"): Strategy.NAME, (names[0], "phone"): Strategy.PHONE}
    direction = check_direction(
        Side(application="bench", environment="production", trust=2, reference="env:TARGET_PRODUCTION"),
        Side(application="bench", environment="staging", trust=1, reference="env:TARGET_STAGING"),
    )

    def sync() -> None:
        with open_sessions(direction) as (source, target):
            copy_tables(source, target, names, rules=rules, key="k" * 64)

    def compare() -> None:
        with psycopg.connect(urls["production"]) as base, psycopg.connect(urls["bare"]) as target:
            for connection in (base, target):
                connection.isolation_level = IsolationLevel.REPEATABLE_READ
            found = parity.compare(base, target, names)
            assert sum(table.changed for table in found) == 100, found

    def dump() -> None:
        with psycopg.connect(urls["production"]) as connection:
            dumps.make(connection=connection, dsn=urls["production"], path=directory / "backups" / "a.dump")

    def plain_dump() -> None:
        program = postgres_bin_dirs()[18] / "pg_dump"
        subprocess.run([program, "-Fc", "-Z1", "-f", directory / "plain.dump", urls["production"]], check=True)

    def bound() -> None:
        copy_bare(urls["production"], urls["bare"])

    execute(urls["bare"], "DROP TABLE messages, conversations, merchants")
    clock = Clock(server)
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        execute(urls["staging"], "TRUNCATE merchants, conversations, messages")
        execute(urls["bare"], "DROP TABLE IF EXISTS messages, conversations, merchants")
        steps: list[tuple[str, Callable[[], object]]] = [
            ("bound: COPY to bare tables, unmasked", bound),
            ("first sync, masked and proven", sync),
            ("second sync, nothing changed", sync),
        ]
        for name, work in steps:
            times.setdefault(name, []).append(clock.measure(work))
        execute(urls["bare"], "ALTER TABLE merchants ADD PRIMARY KEY (id)", "ALTER TABLE conversations ADD PRIMARY KEY (id)",
                "ALTER TABLE messages ADD PRIMARY KEY (id)", "UPDATE messages SET body = 'x' WHERE id <= 100")  # fmt: skip
        for name, work in [
            ("parity, 100 rows changed", compare),
            ("pg_dump -Fc -Z1", plain_dump),
            ("backup, proven, with manifest", dump),
        ]:
            times.setdefault(name, []).append(clock.measure(work))
    return {name: (statistics.median(w for w, _ in all_), statistics.median(c for _, c in all_)) for name, all_ in times.items()}


def copy_bare(source: str, target: str) -> None:
    with psycopg.connect(source) as reading, psycopg.connect(target) as writing:
        for table in TABLES:
            create = reading.execute(
                "SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) "
                "FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [table],
            ).fetchone()  # fmt: skip
            assert create is not None
            writing.execute(f"CREATE TABLE {table} ({create[0]})")  # type: ignore[call-overload]
            with reading.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as rows:  # type: ignore[call-overload]
                with writing.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as into:  # type: ignore[call-overload]
                    for block in rows:
                        into.write(block)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def configure(server: EmbeddedPostgres, directory: Path) -> None:
    """The engines need only the settings about clients and references; no database of the control plane."""
    import django
    from django.conf import settings

    settings.configure(
        EVENKEEL_PG_BIN_DIRS=[str(path) for path in postgres_bin_dirs().values()], EVENKEEL_OWN_KEYS=frozenset(),
        EVENKEEL_SECRET_ENV_PREFIXES=["TARGET_"], EVENKEEL_SECRET_ENV_NAMES=[], EVENKEEL_SECRETS_DIR=str(directory),
        SECRET_KEY="bench", INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    )  # fmt: skip
    django.setup()


def report(times: dict[str, tuple[float, float]], as_json: bool) -> None:
    bound, dump = times["bound: COPY to bare tables, unmasked"], times["pg_dump -Fc -Z1"]
    lines = {}
    for name, (wall, cpu) in times.items():
        base = dump if "backup" in name or "pg_dump" in name else bound
        lines[name] = {
            "wall": round(wall, 2),
            "cpu": round(cpu, 2),
            "wall_ratio": round(wall / base[0], 2),
            "cpu_ratio": round(cpu / base[1], 2),
        }
    if as_json:
        sys.stdout.write(json.dumps(lines) + "\n")
        return
    for name, line in lines.items():
        sys.stdout.write(
            f"{name:<40} {line['wall']:>7} s ({line['wall_ratio']} x)   cpu {line['cpu']:>7} s ({line['cpu_ratio']} x)\n"
        )


if __name__ == "__main__":
    main()
