#!/usr/bin/env python3
"""Django's command line, and the way into the quick start, which runs before anything is installed."""

import os
import runpy
import sys
from pathlib import Path


def main() -> None:
    if sys.argv[1:2] == ["quickstart"]:
        # By path: the quick start needs the standard library only, it makes the environment in which the rest can be imported.
        runpy.run_path(str(Path(__file__).resolve().parent / "controlplane" / "quickstart.py"), run_name="__main__")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed here. Run 'python3 manage.py quickstart', or activate the virtual environment.")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Evenkeel is not configured: {error}")


if __name__ == "__main__":
    main()
