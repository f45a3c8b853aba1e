"""Drift becomes a migration: the repair is registered like any other, with its revert, and run by the runner."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import psycopg
from django.utils import timezone

from controlplane.core import audit
from environments import targets
from environments.catalog import CatalogError, Snapshot, read_snapshot
from environments.models import ManagedDatabase
from environments.services.errors import Conflict, ServiceError, Stale
from migrations_registry.models import Migration
from migrations_registry.schema import BETWEEN_ENVIRONMENTS, DiffResult, Repair, Selection, repair
from migrations_registry.schema.renames import RenameError, parse_rename
from migrations_registry.services.registry import register_migration

TIMEOUTS = targets.Timeouts(statement=30_000, lock=1_000)


def snapshot_of(database: ManagedDatabase) -> Snapshot:
    """The schema of a managed database now, read through its reading role. Raises ServiceError."""
    try:
        with targets.connect(database.read_dsn_ref or database.dsn_ref, timeouts=TIMEOUTS, autocommit=True) as connection:
            return read_snapshot(connection, schemas=database.schemas, profile=database.profile)
    except (targets.TargetError, CatalogError) as error:
        raise ServiceError(f"{database}: {error}") from error
    except psycopg.Error as error:
        raise ServiceError(f"{database}: the catalogue can't be read now: {targets.reason(error)}") from error


@dataclass(frozen=True, slots=True)
class Read:
    """Two snapshots that were read already, and the differences that somebody chose among theirs."""

    base: Snapshot
    target: Snapshot
    #: (kind, object, property)
    keys: frozenset[tuple[str, str, str]]
    #: :func:`text_digest` of the repair that this person was shown.
    shown: str = ""


def repair_of(
    *,
    base: ManagedDatabase,
    target: ManagedDatabase,
    only: Collection[str] = (),
    allow_lossy: bool | Collection[str] = False,
    renames: Collection[str] = (),
) -> Repair:
    """The SQL that makes ``base`` like ``target``. Owners, grants and roles are each environment's own. Raises ServiceError.

    ``renames`` are written as ``schema repair --rename`` takes them: "public.users.fullname=full_name".
    """
    selection = Selection(only=tuple(only), exclude=BETWEEN_ENVIRONMENTS.exclude)
    here, there = snapshot_of(base), snapshot_of(target)
    try:
        chosen = [parse_rename(text, here, there) for text in renames]
    except RenameError as error:
        raise ServiceError(str(error)) from error
    return repair(here, there, selection=selection, allow_lossy=allow_lossy, renames=chosen)


def repair_of_chosen(
    read: Read, *, allow_lossy: bool | Collection[str] = False, differences: DiffResult | None = None
) -> tuple[Repair, Selection]:
    """The SQL that clears exactly the chosen differences, and the selection that stands for them."""
    named = {part for kind, _, name in read.keys for part in (kind, name)}
    # An owner or a grant that nobody chose must not come along with an object that is made anew.
    selection = Selection(exclude=tuple(w for w in BETWEEN_ENVIRONMENTS.exclude if w not in named), keys=read.keys)
    return repair(read.base, read.target, selection=selection, allow_lossy=allow_lossy, differences=differences), selection


def text_digest(made: Repair) -> str:
    """sha256 of the repair and of its way back."""
    return hashlib.sha256(f"{made.sql}\0{made.revert_sql}".encode()).hexdigest()


def register_repair(
    *,
    base: ManagedDatabase,
    target: ManagedDatabase,
    actor: audit.Actor,
    version: str = "",
    name: str = "",
    only: Collection[str] = (),
    allow_lossy: bool | Collection[str] = False,
    renames: Collection[str] = (),
    read: Read | None = None,
) -> Migration:
    """Registers the repair that makes ``base`` like ``target`` as a migration of the application, with its revert.

    ``only`` are patterns of kinds, objects or properties; with ``read`` the repair is that of the differences chosen there.
    Raises NotAllowed; Conflict when there is nothing to repair; Stale when it is another one than was shown; ServiceError when
    a database can't be read or both belong to different applications.
    """
    application = base.environment.application
    if application != target.environment.application:
        raise ServiceError(f"{base} and {target} belong to different applications. Nothing was registered.")
    if read is None:
        made = repair_of(base=base, target=target, only=only, allow_lossy=allow_lossy, renames=renames)
    else:
        made, _ = repair_of_chosen(read, allow_lossy=allow_lossy)
        if read.shown and text_digest(made) != read.shown:
            raise Stale("The repair is not the one that you were shown any more. Nothing was registered; look at it again.")
    if not made.statements:
        held = "; ".join(str(one) for one in made.held_back)
        raise Conflict(
            f"{base} needs no repair to be like {target}. Nothing was registered."
            + (f" Held back, because it would lose something: {held}." if held else "")
        )
    # The target has it already, and others were not looked at: the runner is told where it is meant to run.
    header = f"-- environment: {base.environment.name}\n-- database: {base.name}\n\n"
    return register_migration(
        application=application,
        version=version or f"{timezone.now():%Y%m%d%H%M%S}",
        name=name or f"Repair {base.environment.name}: make it like {target.environment.name}",
        sql=header + made.sql,
        revert_sql=header + made.revert_sql,
        actor=actor,
        category="FIXES",
        origin=f"repair {base} -> {target}",
    )
