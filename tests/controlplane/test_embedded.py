"""The embedded servers are children: whatever ends their parent ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from controlplane.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedServerError, postgres_bin_dirs
from tests.helpers import wait_until

PARENT = """
import sys, time
from pathlib import Path
from controlplane.embedded import EmbeddedPostgres, EmbeddedRedis, postgres_bin_dirs
home = Path(sys.argv[1])
postgres = EmbeddedPostgres(home / "postgres", postgres_bin_dirs()[18], durable=False)
redis = EmbeddedRedis(home / "redis")
postgres.start(); redis.start()
print(postgres.pid, redis._process.pid, flush=True)
time.sleep(300)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory that the unprivileged account can reach, too."""
    for directory in (tmp_path, *tmp_path.parents[:3]):
        if directory.owner() == Path.home().owner() and directory != Path("/tmp"):
            directory.chmod(0o755)
    return tmp_path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def test_postgres_keeps_its_data_over_a_restart(home: Path) -> None:
    server = EmbeddedPostgres(home / "postgres", postgres_bin_dirs()[18], durable=False)
    server.start()
    try:
        url = server.create_database("kept")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE things AS SELECT 1 AS one")
    finally:
        server.stop()
    server.start()
    try:
        with psycopg.connect(server.url("kept")) as connection:
            assert connection.execute("SELECT one FROM things").fetchone() == (1,)
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent was killed")
def test_a_killed_parent_leaves_no_server_behind(home: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(home)], stdout=subprocess.PIPE, cwd=root, text=True)
    assert parent.stdout is not None
    servers = [int(pid) for pid in parent.stdout.readline().split()]
    assert all(alive(pid) for pid in servers)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not any(alive(pid) for pid in servers), what="the end of the orphaned servers")


def test_a_broken_data_directory_is_one_clear_error(home: Path) -> None:
    data = home / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(data, postgres_bin_dirs()[18], durable=False)
    with pytest.raises(EmbeddedServerError, match="did not start"):
        server.start()


def test_redis_answers_and_stops(home: Path) -> None:
    server = EmbeddedRedis(home / "redis")
    server.start()
    client = redis.Redis.from_url(server.url)
    assert client.ping()
    server.stop()
    with pytest.raises(redis.ConnectionError):
        client.ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can't simply be PostgreSQL's account")
def test_a_clone_that_only_root_may_enter_still_gets_its_server(home: Path) -> None:
    private = home / "private"
    private.mkdir(mode=0o700)
    server = EmbeddedPostgres(private / "postgres", postgres_bin_dirs()[18], durable=False)
    try:
        server.start()
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert not server.data_dir.is_relative_to(private)
        server.stop()
        server.wipe()  # what was kept elsewhere is gone, the copy of the programs too
        server.start()
    finally:
        server.stop()
        server.wipe()
    assert not server.data_dir.exists()


def test_the_stand_in_serves_where_there_is_no_redis(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controlplane.embedded.shutil.which", lambda name: None)
    monkeypatch.setattr("controlplane.embedded.find_spec", lambda name: None)
    server = EmbeddedRedis(home / "redis")
    server.start()
    try:
        assert "stand-in" in server.origin
        client = redis.Redis.from_url(server.url)
        client.lpush("queue", "message")
        assert client.brpop(["queue"], 1) == (b"queue", b"message")
    finally:
        server.stop()
