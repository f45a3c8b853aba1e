"""A side of a comparison that is a registered database: APP/ENV, APP/ENV:DATABASE, and as it was, APP/ENV@MOMENT."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.core.management.base import CommandError

from environments.catalog import Snapshot
from environments.models import Application, Environment, ManagedDatabase
from environments.services.errors import ServiceError
from migrations_registry.commandline.moments import FORMS, moment
from migrations_registry.models import SchemaSnapshot
from migrations_registry.schema import BETWEEN_ENVIRONMENTS, Selection
from migrations_registry.services import repairs, snapshots

WHAT_A_SIDE_IS = (
    "A side is env:NAME, file:NAME, a snapshot file, APP/ENV[:DATABASE], or APP/ENV[:DATABASE]@MOMENT-OR-FINGERPRINT."
)
_NAMED = re.compile(
    r"(?P<application>[a-z][a-z0-9-]{0,38})/(?P<environment>[a-z][a-z0-9-]{0,38})(?::(?P<database>[^@]*))?(?:@(?P<when>.*))?\Z",
    re.DOTALL,
)
_FINGERPRINT = re.compile(r"[0-9a-fA-F]{6,64}\Z")


@dataclass(frozen=True, slots=True)
class Side:
    """A registered database, now or as the kept ``row`` has it."""

    text: str
    database: ManagedDatabase
    row: SchemaSnapshot | None = None

    def read(self) -> Snapshot:
        """Raises CommandError."""
        try:
            return repairs.snapshot_of(self.database) if self.row is None else snapshots.load_snapshot(self.row)
        except ServiceError as error:
            raise CommandError(str(error)) from error


def named(text: str) -> Side | None:
    """The registered database that ``text`` names; None when it is a reference or a file. Raises CommandError for wrong forms."""
    if text.startswith(("env:", "file:")):
        return None
    _refuse_addresses(text)
    found = _NAMED.match(text)
    path = Path(text)
    if found is None:
        if not path.exists():
            raise CommandError(f"No such file: {text}. {WHAT_A_SIDE_IS}")
        return None
    environment = _environment(found["application"], found["environment"])
    if environment is None and path.is_file():
        return None
    if environment is None:
        raise CommandError(f"There is no environment {found['application']}/{found['environment']}. {_there_are()}")
    if path.is_file():
        raise CommandError(f"{text} is an environment and a file. Say ./{text} for the file.")
    database = _database(environment, found["database"])
    if found["when"] is None:
        return Side(text, database)
    return Side(text, database, _row(database, found["when"]))


def live(text: str) -> Side:
    """A registered database as it is now. Raises CommandError for everything else."""
    side = named(text)
    if side is None or side.row is not None:
        raise CommandError(f"{text} is not a registered database as it is now: say APP/ENV or APP/ENV:DATABASE.")
    return side


def databases(text: str) -> list[ManagedDatabase]:
    """One database, or all of an environment. Raises CommandError."""
    _refuse_addresses(text)
    found = _NAMED.match(text)
    environment = _environment(found["application"], found["environment"]) if found else None
    if found is None or found["when"] is not None or environment is None:
        wrong = "There is no environment" if found is not None and found["when"] is None else "This names no environment:"
        raise CommandError(f"{wrong} {text}. Say APP/ENV or APP/ENV:DATABASE. {_there_are()}")
    if found["database"] is not None:
        return [_database(environment, found["database"])]
    every = list(environment.databases.order_by("name"))
    if not every:
        raise CommandError(f"{environment} has no database.")
    return every


def selection(base: Side | None, target: Side | None, *, only: Sequence[str], exclude: Sequence[str]) -> Selection:
    """What counts. Owners, grants and roles are each environment's own: between two they count where ``only`` says so."""
    own: tuple[str, ...] = ()
    if base is not None and target is not None and base.database != target.database:
        own = tuple(word for word in BETWEEN_ENVIRONMENTS.exclude if word not in only)
    return Selection(only=tuple(only), exclude=(*exclude, *own))


def _refuse_addresses(text: str) -> None:
    """What may hold a password is not repeated: not in an error either."""
    address = "://" in text or "=" in text.split("/", maxsplit=1)[0]
    if address or ("@" in text and not _NAMED.match(text) and not Path(text).exists()):
        raise CommandError(
            f"A database is named by a reference (env:NAME or file:NAME) or as APP/ENV, never by its address. Nothing was read. "
            f"{WHAT_A_SIDE_IS}"
        )


def _environment(application: str, name: str) -> Environment | None:
    return Environment.objects.select_related("application").filter(application__slug=application, name=name).first()


def _there_are() -> str:
    names = [str(one) for one in Environment.objects.select_related("application")[:20]]
    if not names:
        return "No environment is registered yet (manage.py apply)." if not Application.objects.exists() else "There are none."
    return f"There are: {', '.join(names)}."


def _database(environment: Environment, name: str | None) -> ManagedDatabase:
    every = list(environment.databases.select_related("environment__application").order_by("name"))
    names = ", ".join(one.name for one in every)
    if not every:
        raise CommandError(f"{environment} has no database.")
    if name is None:
        if len(every) > 1:
            raise CommandError(f"{environment} has several databases: say {environment}:NAME with one of {names}.")
        return every[0]
    found = next((one for one in every if one.name == name), None)
    if found is None:
        raise CommandError(f"{environment} has no database {name!r}. It has: {names}.")
    return found


def _row(database: ManagedDatabase, when: str) -> SchemaSnapshot:
    at = moment(when)
    try:
        if at is not None:
            return snapshots.snapshot_at(database=database, moment=at)
        if _FINGERPRINT.match(when):
            return snapshots.snapshot_by_fingerprint(database=database, prefix=when)
    except ServiceError as error:
        raise CommandError(str(error)) from error
    raise CommandError(f"{when!r} is neither a moment ({FORMS}) nor the first 6 or more letters of a fingerprint.")
