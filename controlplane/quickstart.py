"""The quick start: everything that Evenkeel needs, on a machine with Python 3.11 and nothing else.

    python3 manage.py quickstart [--once] [--port N] [--reset]
    python3 manage.py quickstart test [pytest arguments]
    python3 manage.py quickstart exec COMMAND [arguments]

This file is run by path, before anything is installed: until the virtual environment is there it uses the standard library
alone. What it makes lies below ``.quickstart/`` in the checkout and can be deleted at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".quickstart"
VENV = HOME / "venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.txt"
OLDEST_PYTHON = (3, 11)


def say(text: str) -> None:
    """Set-up talks on stderr: stdout belongs to the command that is run."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"Evenkeel needs Python 3.11 or newer; this is {sys.version.split()[0]}. Nothing was installed.")
    if os.name != "posix":
        sys.exit("The quick start runs on Linux and macOS. Nothing was installed.")
    if Path(sys.prefix) != VENV:
        install()
        os.execv(PYTHON, [str(PYTHON), str(ROOT / "manage.py"), "quickstart", *arguments])
    sys.path.insert(0, str(ROOT))
    if arguments[:1] == ["test"]:
        os.chdir(ROOT)
        os.execv(PYTHON, [str(PYTHON), "-m", "pytest", *spread_over_cores(arguments[1:]), *arguments[1:]])
    from controlplane.demo import run

    if arguments[:1] == ["exec"]:
        return run.execute(arguments[1:])
    return run.main(arguments)


def spread_over_cores(arguments: list[str]) -> list[str]:
    """Test files go to as many processes as there are cores, each with servers of its own, unless somebody says otherwise."""
    if any(argument.startswith(("-n", "--numprocesses", "-p", "--pdb")) for argument in arguments):
        return []
    return ["--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile"]


def install() -> None:
    """Makes the virtual environment and installs the lock, unless the same lock is installed there already."""
    HOME.mkdir(exist_ok=True)
    with only_one_installer():
        wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
        mark = VENV / "installed"
        if PYTHON.exists() and mark.exists() and mark.read_text() == wanted:
            return
        try:
            if not works():
                say("Making the virtual environment in .quickstart/venv ...")
                venv.EnvBuilder(with_pip=True, clear=True).create(VENV)
        except subprocess.CalledProcessError:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            sys.exit(
                "This Python comes without ensurepip, so pip can't be set up. On Debian and Ubuntu:\n"
                f"    apt install python{version}-venv\nThen run the same command again. Nothing was installed."
            )
        say("Installing the locked packages (about half a minute) ...")
        command = [
            str(PYTHON),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            str(LOCK),
        ]
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
            sys.exit("pip could not install the locked packages (see above). Run the same command again when that is mended.")
        mark.write_text(wanted)


def works() -> bool:
    """Whether the virtual environment is there, whole, and of this very Python."""
    version = "import sys, pip; print(sys.version)"
    try:
        answer = subprocess.run([PYTHON, "-c", version], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == sys.version


@contextlib.contextmanager
def only_one_installer() -> Iterator[None]:
    with (HOME / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:] if sys.argv[1:2] == ["quickstart"] else sys.argv[1:]))
