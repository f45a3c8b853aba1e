"""``manage.py schema snapshot | diff | repair | profiles``: what a schema is, how two differ, and the SQL that levels them."""

from __future__ import annotations

import json
import shlex
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import CommandError

from controlplane.core.commands import EvenkeelCommand
from environments import targets
from environments.catalog import CatalogError, DocumentError, Snapshot, document, fingerprint, read_snapshot
from environments.catalog.profiles import AUTO, PROFILES, Choice
from migrations_registry.commandline import acceptance, history, keep, profiles, sides
from migrations_registry.schema import DiffResult, Rename, Repair, Selection, diff, repair, suggest_renames
from migrations_registry.schema.proof import Proof, ScratchError, prove_repair
from migrations_registry.schema.renames import RenameError, parse_rename
from migrations_registry.schema.statements import one_line

DRIFT = 2
REFERENCES = ("env:", "file:")
TIMEOUTS = targets.Timeouts(statement=60_000, lock=1_000)


class Command(EvenkeelCommand):
    help = "Snapshots, differences and repairs of schemas. Exit 0: alike, 2: they differ, 1: it could not be done."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="snapshot|diff|repair|history|accept|profiles")
        snapshot = actions.add_parser("snapshot", help="one database's schema as a JSON file")
        snapshot.add_argument("reference", metavar="REF|APP/ENV", help="env:NAME, file:NAME, or a registered database")
        snapshot.add_argument("--keep", action="store_true", help="keep it in Evenkeel, with APP/ENV (see history)")
        snapshot.add_argument("--output", metavar="FILE", help="where to; compressed when it ends in .gz (default: stdout)")
        _common(snapshot)
        for name, what in (
            ("diff", "what must change in base to be like target"),
            ("repair", "the SQL that makes base like target, on stdout"),
        ):
            one = actions.add_parser(name, help=what)
            for side in ("base", "target"):
                one.add_argument(f"--{side}", required=True, metavar="SIDE", help=sides.WHAT_A_SIDE_IS)
            one.add_argument("--only", action="append", default=[], metavar="PATTERN", help="a kind, an object or a property")
            one.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="likewise, left out")
            if name == "diff":
                one.add_argument("--sql", action="store_true", help="the SQL of the repair instead of the list")
                one.add_argument(
                    "--show-spelling",
                    "--spelling",
                    dest="spelling",
                    action="store_true",
                    help="show also what is merely named or spelt differently",
                )
            else:
                one.add_argument("--revert", action="store_true", help="the SQL that takes the repair back, instead")
                one.add_argument("--prove", action="store_true", help="try it, and its revert, on a scratch database first")
                one.add_argument(
                    "--rename", action="append", default=[], metavar="[KIND:]OLD=NEW",
                    help="keep the data of what is merely called otherwise: public.users.fullname=full_name; may be repeated",
                )  # fmt: skip
                one.add_argument(
                    "--one-transaction", action="store_true",
                    help="all of it in one transaction: locks are held longer, but it is there as a whole or not at all",
                )  # fmt: skip
            one.add_argument(
                "--allow-lossy", nargs="?", action="append", const="*", default=[], metavar="OBJECT",
                help="include what loses data: all of it, or of this object; may be repeated",
            )  # fmt: skip
            _common(one)
        history.add_arguments(actions.add_parser("history", help="what a schema was and when it changed; 2: outside a migration"))
        profiles.add_arguments(actions.add_parser("profiles", help="what managed platforms own and is left out"))
        acceptance.add_arguments(actions.add_parser("accept", help="bear differences between two environments until a date"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "history":
            if history.run(options, self.stdout.write):
                raise SystemExit(DRIFT)
            return
        if options["action"] in ("accept", "profiles"):
            {"accept": acceptance.run, "profiles": profiles.run}[options["action"]](options, self.stdout.write)
            return
        profile = Choice(options["profile"])

        def look(where: str) -> Snapshot:
            return _look(where, tuple(options["schema"]), profile)

        if options["action"] == "snapshot":
            if options["keep"]:
                keep.run(options, self.stdout.write)
            else:
                self._snapshot(look(options["reference"]), options)
            return
        one, two = sides.named(options["base"]), sides.named(options["target"])
        base, target = _look_at_both(look, options, registered=one is not None or two is not None)
        selection = sides.selection(one, two, only=options["only"], exclude=options["exclude"])
        found = diff(base, target, selection)
        if options["action"] == "repair" or options["sql"]:
            lossy = options["allow_lossy"]
            made = repair(
                base, target, selection=selection, allow_lossy=True if "*" in lossy else frozenset(lossy),
                online=not options.get("one_transaction"), renames=_renames(options.get("rename", ()), base, target),
            )  # fmt: skip
            self._repair(made, found, (base, target), selection, options)
        else:
            equal = found.equal
            found, accepted, lines = acceptance.apart(found, one, two)
            if options["json"]:
                renames = [rename.as_json() for rename in suggest_renames(base, target, found)]
                shown = {"spelling": [d.as_json() for d in found.spelling]} if options["spelling"] else {}
                content = {**found.as_json(), "equal": equal, "renames": renames, **accepted, **shown, **_sides(base, target)}
                self.stdout.write(json.dumps(content, ensure_ascii=False))
            else:
                self._list(found, suggest_renames(base, target, found), alike=equal, spelling=options["spelling"])
                for line in (*lines, *_left_out(base, "base: "), *_left_out(target, "target: ")):
                    self.stdout.write(line)
        if not found.equal:
            raise SystemExit(DRIFT)

    def _snapshot(self, snapshot: Snapshot, options: dict[str, Any]) -> None:
        if options["output"] is None:
            self.stdout.write(document.dump(snapshot))
            return
        path = Path(options["output"])
        try:
            document.write(snapshot, path)
        except OSError as error:
            raise CommandError(f"{path} can't be written: {error.strerror}. What was there is there still.") from error
        if options["json"]:
            facts = {"file": str(path), "fingerprint": fingerprint(snapshot), "profile": snapshot.profile}
            self.stdout.write(
                json.dumps({**facts, "left_out": snapshot.left_out, "not_seen": list(map(asdict, snapshot.not_seen))})
            )
        else:
            self.stdout.write(f"{path}: {len(snapshot.tables)} tables, fingerprint {fingerprint(snapshot)}")
            for line in _left_out(snapshot):
                self.stdout.write(line)

    def _list(self, found: DiffResult, renames: tuple[Rename, ...], *, alike: bool, spelling: bool) -> None:
        if alike:
            self.stdout.write("Alike." if not found.not_seen else "Alike, as far as it could be seen.")
        for difference in found.differences:
            self.stdout.write(f"{difference.severity:8} {difference}")
        for rename in renames:
            self.stdout.write(f"rename?  {one_line(str(rename))}")
            self.stdout.write(f"         to keep the data: schema repair --rename {shlex.quote(rename.option)}")
        if spelling:
            for difference in found.spelling:
                self.stdout.write(f"spelling {difference}")
        for one in found.not_seen:
            self.stdout.write(f"not seen {one['side']}: {one['object']}: {one['reason']} {one['cure']}".rstrip())

    def _repair(
        self, made: Repair, found: DiffResult, sides: tuple[Snapshot, Snapshot], selection: Selection, options: dict[str, Any]
    ) -> None:
        proof: Proof | None = None
        if options.get("prove"):
            try:
                proof = prove_repair(made, *sides, scratch=settings.EVENKEEL_SCRATCH_DATABASE_URL, selection=selection)
            except ScratchError as error:
                raise CommandError(f"The repair could not be proven. {error}") from error
        if options["json"]:
            told = {**_repair_json(made, found, proof), **_sides(*sides), "notes": _from_files(options)}
            self.stdout.write(json.dumps(told, ensure_ascii=False, default=str))
        else:
            text = made.revert_sql if options.get("revert") else made.sql
            notes = [f"-- {one_line(line)}\n" for line in _from_files(options)]
            notes += [f"-- held back: {one_line(str(one))}\n" for one in made.held_back]
            if proof is not None:
                notes += [f"-- {one_line(line)}\n" for line in [str(proof), *proof.limits]]
            self.stdout.write("".join(notes) + text, ending="")
        if proof is not None and not proof.proven:
            raise CommandError(str(proof))


def _repair_json(made: Repair, found: DiffResult, proof: Proof | None) -> dict[str, Any]:
    return {
        "equal": found.equal,
        "sql": made.sql,
        "revert_sql": made.revert_sql,
        "statements": [
            {**asdict(statement), "segment": number, "alone": statement.alone}
            for number, segment in enumerate(made.segments, start=1)
            for statement in segment
        ],
        "renames": [one.as_json() for one in made.renames],
        "held_back": [asdict(one) for one in made.held_back],
        "not_seen": list(found.not_seen),
        "proof": None
        if proof is None
        else {
            "proven": proof.proven,
            "error": proof.error,
            "differences": [difference.as_json() for difference in proof.differences],
            "proven_at": proof.proven_at.isoformat(),
            "limits": list(proof.limits),
            "revert": None
            if proof.revert is None
            else {
                "proven": proof.revert.proven,
                "error": proof.revert.error,
                "differences": [difference.as_json() for difference in proof.revert.differences],
            },
        },
    }


def _left_out(snapshot: Snapshot, side: str = "") -> list[str]:
    """What the profile left out, for people; nothing when it found nothing."""
    return [
        f"{side}left out as {snapshot.profile}: {kind} {one_line(', '.join(names))}" for kind, names in snapshot.left_out.items()
    ]


def _sides(base: Snapshot, target: Snapshot) -> dict[str, Any]:
    return {
        "profiles": {"base": base.profile, "target": target.profile},
        "left_out": {"base": base.left_out, "target": target.left_out},
    }


def _from_files(options: dict[str, Any]) -> list[str]:
    return [
        f"{side} is the file {options[side]}: definitions and bodies in it become SQL here. Run it only if you trust who made it."
        for side in ("base", "target")
        if not options[side].startswith(REFERENCES) and sides.named(options[side]) is None
    ]


def _renames(texts: Sequence[str], base: Snapshot, target: Snapshot) -> list[Rename]:
    try:
        return [parse_rename(text, base, target) for text in texts]
    except RenameError as error:
        raise CommandError(str(error)) from error


def _common(parser: ArgumentParser) -> None:
    parser.add_argument("--schema", action="append", default=[], help="look at this schema only; may be repeated")
    parser.add_argument(
        "--profile", choices=[AUTO, *PROFILES], default=AUTO,
        help="whose own schemas and roles to leave out (default: by the roles that are there)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _look_at_both(look: Callable[[str], Snapshot], options: dict[str, Any], *, registered: bool) -> tuple[Snapshot, Snapshot]:
    """Base and target, at once: two servers, or two processes of one, need not wait for each other.

    What is registered is looked up in this program's own database, whose connections are each for one thread.
    """
    if registered:
        return look(options["base"]), look(options["target"])
    with ThreadPoolExecutor(2) as pool:
        base, target = pool.map(look, (options["base"], options["target"]))
    return base, target


def _look(where: str, schemas: tuple[str, ...], profile: Choice) -> Snapshot:
    """The database behind a reference, or the snapshot in a file. Raises CommandError."""
    side = sides.named(where)
    if side is not None:
        if schemas:
            raise CommandError(f"--schema is not for {where}: which of its schemas are looked at is set at the database.")
        return side.read()
    try:
        if not where.startswith(REFERENCES):
            return document.read(Path(where))
        with targets.connect(where, timeouts=TIMEOUTS, autocommit=True) as connection:
            return read_snapshot(connection, schemas=schemas, profile=profile)
    except (targets.TargetError, CatalogError, DocumentError) as error:
        raise CommandError(one_line(str(error))) from error
    except psycopg.Error as error:
        raise CommandError(f"The database behind {where} can't be read: {targets.reason(error)}") from error
