"""A runner in a process of its own that stops before its Nth statement and waits to be killed.

killable.py URL N DIRECTORY [VERSION]

With a version it is rolled back, and else everything is applied.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import psycopg

from migrations_registry.runner.execute import Runner
from migrations_registry.runner.rollback import roll_back
from migrations_registry.runner.source import read_directory
from tests.migrations_registry.runner.helpers import FAST, connector


def main(url: str, stop_before: int, directory: str, version: str = "") -> None:
    execute = psycopg.Connection.execute
    count = 0

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == stop_before:
            print("here", flush=True)  # noqa: T201 - the signal to the test
            threading.Event().wait()
        return execute(self, *args, **kwargs)

    psycopg.Connection.execute = counting  # type: ignore[method-assign]
    runner, scripts = Runner(connector(url), budgets=FAST), read_directory(Path(directory))
    if version:
        roll_back(runner, scripts, version=version)
    else:
        runner.apply(scripts)
    print("done", flush=True)  # noqa: T201 - the signal to the test


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
