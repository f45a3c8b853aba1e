"""Figures of the runner and the lint beside their bounds, in one run: ``python -m tests.benchmarks.migrations [count]``.

Compared are CPU seconds (this process and the server's backends of the run), because wall times swing with other work:
applying COUNT one-table migrations, against a bare psycopg loop that runs the same SQL and inserts one ledger row each;
linting COUNT files of about 30 lines, against ``pglast.parse_sql`` alone; and a run that has nothing to do.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pglast
import psycopg

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from migrations_registry.lint.engine import lint
from migrations_registry.runner.execute import Runner
from migrations_registry.runner.script import Script
from tests.migrations_registry.runner.helpers import connector

ROUNDS = 3
LINT_FILE = """-- category: CORE
CREATE TABLE app.orders_{n} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL REFERENCES app.customers (id),
    state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'paid', 'sent')),
    total numeric(12, 2) NOT NULL DEFAULT 0,
    note text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_{n}_customer ON app.orders_{n} (customer);
CREATE INDEX CONCURRENTLY customers_{n} ON app.customers (lower(email));
ALTER TABLE app.customers ADD COLUMN flag_{n} boolean NOT NULL DEFAULT false;
ALTER TABLE app.customers ADD CONSTRAINT c_{n} CHECK (flag_{n} IS NOT NULL) NOT VALID;
CREATE FUNCTION app.touch_{n}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON app.orders_{n}
    FOR EACH ROW EXECUTE FUNCTION app.touch_{n}();
CREATE VIEW app.open_orders_{n} AS
    SELECT o.id, c.email, o.total
    FROM app.orders_{n} o
    JOIN app.customers c ON c.id = o.customer
    WHERE o.state = 'new';
UPDATE app.customers SET flag_{n} = true WHERE id < 1000;
GRANT SELECT ON app.open_orders_{n} TO reporting;
DROP TABLE app.old_{n};
"""


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def backend_cpu(connection: psycopg.Connection) -> float:
    """CPU seconds of the connection's server process, from /proc."""
    fields = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bare(url: str, scripts: list[Script]) -> float:
    started = cpu()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA bare; CREATE TABLE bare.ledger (version text PRIMARY KEY, at timestamptz DEFAULT now())"
        )
        for script in scripts:
            with connection.transaction():
                connection.execute(script.sql.encode())
                connection.execute("INSERT INTO bare.ledger (version) VALUES (%s)", [script.version])
        server = backend_cpu(connection)
    return cpu() - started + server


def ours(url: str, scripts: list[Script]) -> float:
    seen: list[float] = []
    started = cpu()
    inner = connector(url)

    class Measured:
        def __init__(self) -> None:
            self.context = inner()

        def __enter__(self) -> psycopg.Connection:
            self.connection = self.context.__enter__()
            return self.connection

        def __exit__(self, *error: object) -> None:
            seen.append(backend_cpu(self.connection))
            self.context.__exit__(*error)  # type: ignore[arg-type]

    Runner(Measured).apply([Script(s.version, s.name, s.sql) for s in scripts])  # type: ignore[arg-type]
    return cpu() - started + sum(seen)


def median(action: Callable[[], float]) -> float:
    return statistics.median(action() for _ in range(ROUNDS))


def timed(action: Callable[[], object]) -> float:
    started = cpu()
    action()
    return cpu() - started


def main(count: int) -> None:
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedPostgres(Path(directory) / "postgres", postgres_bin_dirs()[18], durable=False)
        server.start()
        try:
            scripts = [Script(f"{n:04}", f"t{n}", f"CREATE TABLE t{n} (id int PRIMARY KEY, name text)") for n in range(count)]
            figures: dict[str, list[float]] = {"bare": [], "ours": [], "no-op": []}
            for round_number in range(ROUNDS):
                figures["bare"].append(bare(server.create_database(f"bare_{round_number}"), scripts))
                url = server.create_database(f"ours_{round_number}")
                figures["ours"].append(ours(url, scripts))
                figures["no-op"].append(ours(url, scripts))
            middle = {name: statistics.median(values) for name, values in figures.items()}
            ratio = middle["ours"] / middle["bare"]
            say(f"apply {count}: bare {middle['bare']:.2f} s, ours {middle['ours']:.2f} s, ratio {ratio:.2f}\n")
            say(f"no-op: {middle['no-op']:.2f} s\n")
        finally:
            server.stop()
    files = [LINT_FILE.replace("{n}", str(n)) for n in range(count)]
    parse = median(lambda: timed(lambda: [pglast.parse_sql(text) for text in files]))
    linted = median(lambda: timed(lambda: [lint(text) for text in files]))
    started = time.perf_counter()
    findings = sum(len(lint(text).findings) for text in files)
    wall = time.perf_counter() - started
    say(f"lint {count}: parse alone {parse:.2f} s, lint {linted:.2f} s, ratio {linted / parse:.2f}\n")
    say(f"lint {count}: {findings} findings, {wall:.2f} s wall\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
