"""What two snapshots and their comparison cost beside bare catalogue queries, in one run.

    python -m tests.benchmarks.schema [--tables N ...] [--rounds N]

The first bound is the same SQL, plain tuples, fetchall, both databases one after another, each through a new connection; the
second is what somebody would write by hand: thirteen short queries with the server's own functions for definitions. Rounds are
interleaved and medians reported, wall clock and CPU (this process and the sessions' server processes): on a shared machine trust
the CPU column. "one after another" is two calls of ``read_snapshot``, "both at once" reads each database in a thread of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from environments.catalog import Snapshot, dump, fingerprint, load, queries, read_snapshot
from migrations_registry.schema import diff, repair
from tests.benchmarks.schema_made import HAND_WRITTEN, alter, make

Connections = list[psycopg.Connection[Any]]
#: Run in a process of its own, so that nothing else counts: peak memory in MiB at rest and after the comparison.
MEMORY = """
import sys, psycopg
from pathlib import Path
from environments.catalog import read_snapshot
from migrations_registry.schema import diff
status = lambda: dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
peak = lambda: int(status()["VmHWM"].split()[0]) / 1024
before = peak()
with psycopg.connect(sys.argv[1]) as one, psycopg.connect(sys.argv[2]) as two:
    diff(read_snapshot(one), read_snapshot(two))
print(f"memory: {before:.0f} MiB before, {peak():.0f} MiB at the peak of snapshots and diff")
"""


def begin(connection: psycopg.Connection[Any]) -> list[int]:
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    connection.execute("SELECT set_config('search_path', '', true), set_config('jit', 'off', true)")
    return [row[0] for row in connection.execute(queries.NAMESPACES).fetchall()]


def same_queries(connections: Connections) -> None:
    for connection in connections:
        with connection.transaction():
            parameters: dict[str, list[int]] = {"namespaces": begin(connection), "platform": []}
            kept = []
            for text in queries.queries(connection.info.server_version).values():
                kept.append(connection.execute(text, parameters).fetchall())  # type: ignore[call-overload]


def hand_written(connections: Connections) -> None:
    for connection in connections:
        with connection.transaction():
            begin(connection)
            kept = [connection.execute(text).fetchall() for text in HAND_WRITTEN]  # type: ignore[call-overload]
            assert len(kept) == len(HAND_WRITTEN)


def one_after_another(connections: Connections) -> tuple[Snapshot, Snapshot]:
    one, two = (read_snapshot(connection) for connection in connections)
    assert diff(one, two).equal
    return one, two


def both_at_once(connections: Connections) -> tuple[Snapshot, Snapshot]:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(read_snapshot, connections)
    assert diff(one, two).equal
    return one, two


WORK: dict[str, Callable[[Connections], Any]] = {
    "the same queries, bare": same_queries, "queries written by hand, bare": hand_written,
    "snapshots one after another, diff": one_after_another, "snapshots both at once, diff": both_at_once,
}  # fmt: skip


def measure(urls: list[str], work: Callable[[Connections], Any]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    connections = [psycopg.connect(url, autocommit=True) for url in urls]
    try:
        cpu, wall = time.process_time(), time.perf_counter()
        work(connections)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return wall, cpu + sum(backend_cpu(connection) for connection in connections)
    finally:
        for connection in connections:
            connection.close()


def backend_cpu(connection: psycopg.Connection[Any]) -> float:
    """CPU seconds of the connection's server process, from /proc."""
    fields = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(urls: list[str], rounds: int) -> dict[str, tuple[float, float]]:
    """Medians of wall and CPU seconds by kind of work."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WORK}
    for _ in range(rounds):
        for name, work in WORK.items():
            times[name].append(measure(urls, work))
    return {name: (statistics.median(w for w, _ in all_), statistics.median(c for _, c in all_)) for name, all_ in times.items()}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def rest(urls: list[str], changed_url: str) -> list[str]:
    """Seconds of what is done with snapshots once they are there."""
    with psycopg.connect(urls[0]) as one, psycopg.connect(changed_url) as two:
        base, target = read_snapshot(one), read_snapshot(two)
    compared, found = timed(lambda: diff(base, target))
    repaired, made = timed(lambda: repair(base, target, allow_lossy=True, differences=found))
    printed, _ = timed(lambda: fingerprint(base))
    dumped, text = timed(lambda: dump(base))
    loaded, _ = timed(lambda: load(text))
    return [
        f"diff, 1 % of the tables changed: {compared:.2f} s, {len(found.differences)} differences",
        f"repair of it: {repaired:.2f} s, {len(made.statements)} statements",
        f"fingerprint {printed:.2f} s, dump {dumped:.2f} s ({len(text) / 1e6:.1f} MB), load {loaded:.2f} s",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, nargs="+", default=[200, 2000, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    say = sys.stdout.write
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-") as directory:
        Path(directory).chmod(0o755)
        server = EmbeddedPostgres(Path(directory) / "postgres", postgres_bin_dirs()[18], durable=False)
        server.start()
        try:
            for tables in options.tables:
                urls = databases(server, tables)
                times = compare(urls[:2], options.rounds)
                (wall, cpu), (hand_wall, hand_cpu) = list(times.values())[:2]
                say(f"{tables} tables\n")
                for name, (w, c) in times.items():
                    against = f"wall {w:6.2f} s ({w / wall:.2f}, {w / hand_wall:.2f} times)"
                    against += f"   cpu {c:6.2f} s ({c / cpu:.2f}, {c / hand_cpu:.2f} times)"
                    say(f"  {name:<36} {against}   {1000 * w / tables:.2f} ms a table\n")
                for line in [*rest(urls[:2], urls[2]), memory(urls)]:
                    say(f"  {line}\n")
                sys.stdout.flush()
        finally:
            server.stop()


def databases(server: EmbeddedPostgres, tables: int) -> list[str]:
    """Two that are alike, and one in which 1 % of the tables are different."""
    names = [f"{which}_{tables}" for which in ("one", "two", "changed")]
    urls = [server.create_database(names[0])]
    with psycopg.connect(urls[0], autocommit=True) as connection:
        make(connection, tables)
    urls += [server.create_database(name, template=names[0]) for name in names[1:]]
    with psycopg.connect(urls[2], autocommit=True) as connection:
        alter(connection, tables)
    return urls


def memory(urls: list[str]) -> str:
    done = subprocess.run([sys.executable, "-c", MEMORY, *urls[:2]], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
