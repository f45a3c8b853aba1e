"""``manage.py schema profiles``: what managed platforms own, and what is therefore left out."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from environments.catalog.profiles import KINDS, PROFILES


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", choices=list(PROFILES), metavar="NAME", help=f"one of {', '.join(PROFILES)}")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(options: dict[str, Any], write: Callable[[str], Any]) -> None:
    chosen = [PROFILES[options["name"]]] if options["name"] else list(PROFILES.values())
    if options["json"]:
        write(json.dumps({"profiles": [one.as_json() for one in chosen]}, ensure_ascii=False))
        return
    for one in chosen:
        write(f"{one.name}: {one.title}")
        for kind in (*KINDS, "worked_as", "recognised_by"):
            if getattr(one, kind):
                write(f"  {kind.replace('_', ' '):15} {', '.join(getattr(one, kind))}")
        if one.source:
            write(f"  {'source':15} {one.source}")
