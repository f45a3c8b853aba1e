"""What `quickstart` does once its packages are there: bring the world up, tell the story, stay or leave."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from controlplane.demo.processes import ProcessDied
from controlplane.demo.world import HOME, MAJOR, ROOT, AlreadyRunning, World, process_environment, running_environment
from controlplane.embedded import EmbeddedServerError

#: Another place for the state, for whoever wants several or tests this.
STATE = Path(os.environ.get("EVENKEEL_QUICKSTART_STATE", HOME / "state"))
ONCE = HOME / "once"
FIRST_PORT = 8000


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="manage.py quickstart", description="Evenkeel with everything that it needs, embedded.")
    parser.add_argument("--once", action="store_true", help="tell the whole story on a fresh state, then exit 0")
    parser.add_argument(
        "--port", type=int, default=0, help=f"port of the web server on loopback (default: {FIRST_PORT}, or a free one)"
    )
    parser.add_argument("--reset", action="store_true", help="begin with a fresh state instead of the one of last time")
    options = parser.parse_args(arguments)
    with signals_that_end_in_order():
        try:
            with world_up(once=options.once, reset=options.reset, port=options.port) as world:
                _load_django(world)
                from controlplane.demo import story

                return story.tell_all(world) if options.once else story.open_for_the_operator(world)
        except (AlreadyRunning, EmbeddedServerError, ProcessDied) as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130


@contextmanager
def world_up(*, once: bool, reset: bool, port: int) -> Iterator[World]:
    directory = ONCE if once else STATE
    world = World(directory)
    if (once or reset) and running_environment(directory) is None:
        world.wipe()
    try:
        world.start(web_port=port or (0 if once else _first_port()))
        print(f"PostgreSQL {MAJOR} and Redis are up; Redis is {world.redis.origin}.")
        yield world
    finally:
        world.stop()


@contextmanager
def signals_that_end_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the stack as Ctrl-C does, so that every process is stopped."""

    def end(signum: int, frame: FrameType | None) -> None:
        # A second signal must not cut the stopping short.
        for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + signum)

    for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(signum, end)
    yield


def execute(arguments: list[str]) -> int:
    """`quickstart exec COMMAND`: in the environment of the running quick start, else with servers that live as long as it."""
    if not arguments:
        print("Name a management command: python3 manage.py quickstart exec COMMAND [arguments]", file=sys.stderr)
        return 1
    running = running_environment(STATE)
    with signals_that_end_in_order():
        if running is not None:
            return _manage(running, arguments)
        world = World(STATE)
        try:
            world.start()
            variables = world.environment()
            setup = subprocess.run(
                [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"],
                env=process_environment(variables), stdout=sys.stderr, check=False,
            )  # fmt: skip
            return setup.returncode or _manage(variables, arguments)
        except (AlreadyRunning, EmbeddedServerError) as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            world.stop()


def _manage(variables: dict[str, str], arguments: list[str]) -> int:
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    process = subprocess.Popen(command, env=process_environment(variables, arguments))
    try:
        return process.wait()
    except SystemExit:
        process.terminate()
        process.wait()
        raise


def _load_django(world: World) -> None:
    """This process becomes part of Evenkeel: it calls the same services as the admin does."""
    os.environ.update(process_environment(world.environment()))
    import django
    from django.core.management import call_command

    django.setup()
    started = time.monotonic()
    call_command("migrate", verbosity=0)
    call_command("seed", verbosity=0)
    print(f"The control plane's tables are up to date ({time.monotonic() - started:.1f} s).")


def _first_port() -> int:
    import socket

    with socket.socket() as probe:
        return 0 if probe.connect_ex(("127.0.0.1", FIRST_PORT)) == 0 else FIRST_PORT
