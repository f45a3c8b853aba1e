"""Taking over the history that other tools kept."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from django.db import transaction

from controlplane.core import audit
from environments import targets
from environments.models import ManagedDatabase
from environments.services.errors import NotAllowed, ServiceError
from migrations_registry.adopt import adoption
from migrations_registry.adopt.adoption import AdoptionPlan
from migrations_registry.runner import ledger
from migrations_registry.runner.errors import RunnerError
from migrations_registry.runner.session import default_runner_name, exclusive
from migrations_registry.services import policy
from migrations_registry.services.registry import scripts_for
from migrations_registry.services.runs import connector, mirror

TELL = "Nothing was changed."


def plan_adoption(*, database: ManagedDatabase, tools: Mapping[str, str] | None = None) -> AdoptionPlan:
    """What would be adopted, with evidence for every row. Reads only. Raises ServiceError when the database can't be asked."""
    try:
        with targets.connect(database.dsn_ref, autocommit=True) as connection:
            return adoption.plan(connection, scripts_for(database), tools=tools)
    except (targets.TargetError, RunnerError, psycopg.Error) as error:
        raise ServiceError(_words(error)) from error


def adopt_history(*, database: ManagedDatabase, actor: audit.Actor, tools: Mapping[str, str] | None = None) -> AdoptionPlan:
    """Writes the plan into the ledger and freezes the old tables, in one transaction. Raises NotAllowed and ServiceError."""
    _require(database, actor)
    writer = _writer(actor)
    try:
        with exclusive(connector(database), runner=writer.runner, wait_ms=0) as connection:
            current = adoption.adopt(connection, scripts_for(database), writer, tools=tools)
            entries = ledger.read(connection)
    except (targets.TargetError, RunnerError, psycopg.Error) as error:
        raise ServiceError(_words(error)) from error
    data = {"tables": [table.object for table in current.tables], "versions": sorted(set(current.versions) - current.done)}
    with transaction.atomic():
        mirror(database=database, entries=entries)
        audit.record(action="migrations.adopted", subject=database, actor=actor, data=data)
    return current


def undo_adoption(*, database: ManagedDatabase, actor: audit.Actor) -> tuple[int, list[str]]:
    """Removes the adopted rows and the freeze: (rows, tables). Raises NotAllowed; ServiceError once Evenkeel ran something."""
    _require(database, actor)
    writer = _writer(actor)
    try:
        with exclusive(connector(database), runner=writer.runner, wait_ms=0) as connection:
            count, tables = adoption.undo(connection, writer)
    except (targets.TargetError, RunnerError, psycopg.Error) as error:
        raise ServiceError(_words(error)) from error
    with transaction.atomic():
        mirror(database=database, entries={})
        audit.record(action="migrations.adoption-undone", subject=database, actor=actor, data={"rows": count, "tables": tables})
    return count, tables


def _require(database: ManagedDatabase, actor: audit.Actor) -> None:
    if actor is None and database.environment.protected:
        raise NotAllowed(f"{database.environment} is protected: name yourself (--as USERNAME). {TELL}")
    if actor is not None and not actor.has_perm(policy.RUN):
        raise NotAllowed(f"{actor.get_username()} may not adopt a migration history. {TELL}")


def _writer(actor: audit.Actor) -> ledger.Writer:
    return ledger.Writer("adoption", f"{default_runner_name()} by {audit.actor_name(actor)}")


def _words(error: Exception) -> str:
    return f"{targets.reason(error)} {TELL}" if isinstance(error, psycopg.Error) else str(error)
