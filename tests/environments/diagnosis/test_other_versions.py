"""The same plants on other major versions of PostgreSQL."""

from pathlib import Path

import pytest

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from environments.diagnosis import context, engine
from environments.diagnosis.registry import Verdict
from tests.environments.diagnosis.planted import everything
from tests.environments.diagnosis.test_planted import failed_in, plant

#: Where Debian keeps a version of its own.
DEBIAN = Path("/usr/lib/postgresql")


def programs(version):
    found = postgres_bin_dirs().get(version) or DEBIAN / str(version) / "bin"
    if not (found / "initdb").exists():
        pytest.skip(f"PostgreSQL {version} is not installed on this machine.")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("version", [15, 16, 17])
def test_the_plants_are_found_there_too(version, postgres_server, monkeypatch):
    # Beside the session's server: pytest prunes its own directories while another session runs.
    server = EmbeddedPostgres(postgres_server.data_dir.parent / f"planted{version}", programs(version), durable=False)
    server.start()
    try:
        url = server.create_database("planted")
        plant(url)
        monkeypatch.setenv("TARGET_PLANTED", url)
        results = engine.evaluate(context.of_target("env:TARGET_PLANTED"))
    finally:
        server.stop()
        server.wipe()
    assert [result.reason for result in results if "itself failed" in result.reason] == []
    unexpected = [result for result in results if result.verdict is Verdict.NOT_EVALUATED and not result.expected]
    assert unexpected == []
    for planted in everything():
        assert failed_in(results, planted.check, planted.schema) == set(planted.sick), planted.check
