"""Drift becomes a migration: the repair is registered like any other, with its revert, and run by the runner."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import psycopg
from django.utils import timezone

from controlplane.core import audit
from environments import targets
from environments.catalog import CatalogError, Snapshot, read_snapshot
from environments.models import ManagedDatabase
from environments.services.errors import Conflict, ServiceError
from migrations_registry.models import Migration
from migrations_registry.schema import BETWEEN_ENVIRONMENTS, DiffResult, Rename, Repair, Selection, diff, repair
from migrations_registry.schema.acceptance import key
from migrations_registry.schema.renames import RenameError, parse_rename
from migrations_registry.schema.renaming import renamed
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
    #: What is renamed, as ``schema repair --rename`` takes it.
    renames: tuple[str, ...] = ()


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
    return repair(here, there, selection=selection, allow_lossy=allow_lossy, renames=chosen_renames(renames, here, there))


def chosen_renames(texts: Collection[str], base: Snapshot, target: Snapshot) -> list[Rename]:
    """Raises ServiceError for what can't be renamed, and for two renames of one thing."""
    try:
        chosen = [parse_rename(text, base, target) for text in sorted(texts)]
    except RenameError as error:
        raise ServiceError(str(error)) from error
    for side in ("old", "new"):
        names = [(one.kind, getattr(one, side)) for one in chosen]
        twice = next((name for kind, name in names if names.count((kind, name)) > 1), "")
        if twice:
            raise ServiceError(f"{twice} is in two of the chosen renames. Choose one of them. Nothing was made.")
    return chosen


def repair_of_chosen(
    read: Read, *, allow_lossy: bool | Collection[str] = False, differences: DiffResult | None = None
) -> tuple[Repair, Selection]:
    """The SQL that clears exactly the chosen differences, and the selection that stands for them. Raises ServiceError.

    What still differs in something renamed, or because of the new name, comes along: nobody could have chosen it.
    """
    named = {part for kind, _, name in read.keys for part in (kind, name)}
    # An owner or a grant that nobody chose must not come along with an object that is made anew.
    exclude = tuple(w for w in BETWEEN_ENVIRONMENTS.exclude if w not in named)
    renames, keys = chosen_renames(read.renames, read.base, read.target), read.keys
    if renames:
        after = diff(renamed(read.base, read.target, renames).base, read.target).differences
        before = (differences or diff(read.base, read.target)).differences
        keys |= {key(one) for one in after} - {key(one) for one in before}
    selection = Selection(exclude=exclude, keys=keys)
    made = repair(read.base, read.target, selection=selection, allow_lossy=allow_lossy, differences=differences, renames=renames)
    return made, selection


def as_migration(made: Repair, base: ManagedDatabase) -> tuple[str, str]:
    """The SQL and its way back as a migration has them. The target has it already, and others were not looked at: the runner is
    told where it is meant to run."""
    header = f"-- environment: {base.environment.name}\n-- database: {base.name}\n\n"
    return header + made.sql, header + made.revert_sql


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
) -> Migration:
    """Registers the repair that makes ``base`` like ``target`` as a migration of the application, with its revert.

    ``only`` are patterns of kinds, objects or properties. Raises NotAllowed; Conflict when there is nothing to repair;
    ServiceError when a database can't be read or both belong to different applications.
    """
    of_one_application(base, target)
    made = repair_of(base=base, target=target, only=only, allow_lossy=allow_lossy, renames=renames)
    if not made.statements:
        held = "; ".join(str(one) for one in made.held_back)
        raise Conflict(
            f"{base} needs no repair to be like {target}. Nothing was registered."
            + (f" Held back, because it would lose something: {held}." if held else "")
        )
    sql, revert_sql = as_migration(made, base)
    return register_sql(base=base, target=target, sql=sql, revert_sql=revert_sql, actor=actor, version=version, name=name)


def of_one_application(base: ManagedDatabase, target: ManagedDatabase) -> None:
    if base.environment.application_id != target.environment.application_id:
        raise ServiceError(f"{base} and {target} belong to different applications. Nothing was registered.")


def register_sql(
    *,
    base: ManagedDatabase,
    target: ManagedDatabase,
    sql: str,
    revert_sql: str,
    actor: audit.Actor,
    version: str = "",
    name: str = "",
) -> Migration:
    """A repair's SQL as a migration. Raises what ``register_migration`` raises."""
    return register_migration(
        application=base.environment.application,
        version=version or f"{timezone.now():%Y%m%d%H%M%S}",
        name=name or f"Repair {base.environment.name}: make it like {target.environment.name}",
        sql=sql,
        revert_sql=revert_sql,
        actor=actor,
        category="FIXES",
        origin=f"repair {base} -> {target}",
    )
