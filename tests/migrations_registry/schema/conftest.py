from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs

#: Where Debian puts the programs of its PostgreSQL.
DEBIAN = Path("/usr/lib/postgresql")


@pytest.fixture(scope="session")
def older_server(postgres_server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL 16 beside the 18 of the session."""
    yield from _started(postgres_server, 16, postgres_bin_dirs()[16])


@pytest.fixture(scope="session")
def debian_server(postgres_server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL 15 beside the 18 of the session, where it is installed."""
    programs = DEBIAN / "15" / "bin"
    if not (programs / "postgres").exists():
        pytest.skip("PostgreSQL 15 is not installed: apt-get install postgresql-15")
    yield from _started(postgres_server, 15, programs)


def _started(session: EmbeddedPostgres, version: int, programs: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(session.data_dir.parent / f"postgres{version}", programs, durable=False)
    server.start()
    yield server
    server.stop()
    server.wipe()
