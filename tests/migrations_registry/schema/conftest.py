from __future__ import annotations

from collections.abc import Iterator

import pytest

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs


@pytest.fixture(scope="session")
def older_server(postgres_server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL 16 beside the 18 of the session."""
    server = EmbeddedPostgres(postgres_server.data_dir.parent / "postgres16", postgres_bin_dirs()[16], durable=False)
    server.start()
    yield server
    server.stop()
    server.wipe()
