"""The registry of migrations: what an application's schema changes are, before any of them runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from controlplane.core import audit
from environments.models import Application, ManagedDatabase, Release
from environments.services.errors import Conflict, NotAllowed, ServiceError
from migrations_registry.models import AppliedMigration, Migration
from migrations_registry.runner import graph
from migrations_registry.runner.errors import RunnerError, SourceError
from migrations_registry.runner.script import CATEGORY, Script, checksum, read_header, words
from migrations_registry.runner.source import read_directory

ADD = "migrations_registry.add_migration"


def register_migration(
    *,
    application: Application,
    version: str,
    name: str,
    sql: str,
    actor: audit.Actor,
    category: str = "CORE",
    requires: Sequence[str] = (),
    revert_sql: str = "",
    verify_sql: str = "",
    origin: str = "",
    file_text: str = "",
) -> Migration:
    """Adds a migration, or gives back the one that is already there with the same content.

    ``file_text`` is the whole file of another tool of which ``sql`` is a part; that tool's checksums are over it.
    Raises NotAllowed; ServiceError for SQL that can't be parsed or run, a bad version or category, a requirement that does not
    exist; Conflict when the version is there with other content and was applied or released.
    """
    if actor is not None and not actor.has_perm(ADD):
        raise NotAllowed(f"{actor.get_username()} may not register migrations. Nothing was kept; an administrator can grant it.")
    values = {
        "name": name,
        "category": category.upper(),
        "sql": sql,
        "revert_sql": revert_sql,
        "verify_sql": verify_sql,
        "requires": list(requires),
        "origin": origin[:200],
        "file_text": file_text,
    }
    migration = Migration(application=application, version=version, created_by=actor, **values)
    script = script_of(migration)
    _check(migration, script)
    migration.checksum, migration.fingerprint = script.checksum, script.fingerprint
    with transaction.atomic():
        # Two registrations of one application follow each other, so that requirements are judged on what is there.
        audit.lock_chain()
        Application.objects.select_for_update().get(pk=application.pk)
        _check_graph(application, script)
        there = Migration.objects.filter(application=application, version=version).first()
        if there is not None:
            return _again(there, migration, actor)
        try:
            migration.save(force_insert=True)
        except IntegrityError as error:  # pragma: no cover - the lock above keeps it from happening
            raise Conflict(f"{version} was registered by somebody else a moment ago. Nothing was kept.") from error
        audit.record(
            action="migration.registered",
            subject=migration,
            actor=actor,
            data={"checksum": migration.checksum, "category": migration.category, "origin": migration.origin},
        )
    return migration


def register_directory(*, application: Application, directory: Path, actor: audit.Actor) -> list[Migration]:
    """Registers every migration of a directory, all or none. Raises what :func:`register_migration` raises."""
    try:
        scripts = graph.order(read_directory(directory), applied=_versions(application))
    except RunnerError as error:
        raise ServiceError(f"{error} Nothing was kept.") from error
    with transaction.atomic():
        return [
            register_migration(
                application=application,
                version=script.version,
                name=script.name,
                sql=script.sql,
                actor=actor,
                category=script.category,
                requires=script.requires,
                revert_sql=script.revert_sql,
                verify_sql=script.verify_sql,
                origin=Path(script.origin).name,
                file_text=script.file_text,
            )
            for script in scripts
        ]


def script_of(migration: Migration) -> Script:
    """A row as the runner sees it. Conflicts stand in the header of the SQL."""
    conflicts = words(header_of(migration).get("conflicts", ""))
    return Script(
        version=migration.version,
        name=migration.name,
        sql=migration.sql,
        category=migration.category,
        requires=tuple(migration.requires),
        conflicts=conflicts,
        revert_sql=migration.revert_sql,
        verify_sql=migration.verify_sql,
        file_text=migration.file_text,
    )


def header_of(migration: Migration) -> dict[str, str]:
    try:
        return read_header(migration.sql, file=migration.version)
    except SourceError:  # kept before the rule was there
        return {}


def meant_for(migration: Migration, database: ManagedDatabase) -> bool:
    """Whether the header's "-- database: main" and "-- environment: staging" let it run there; without them it runs everywhere.

    A repair that makes staging like production is meant for staging alone: production has it already.
    """
    header = header_of(migration)
    databases, environments = words(header.get("database", "")), words(header.get("environment", ""))
    return (not databases or database.name in databases) and (not environments or database.environment.name in environments)


def scripts_of(application: Application) -> list[Script]:
    return [script_of(migration) for migration in Migration.objects.filter(application=application)]


def scripts_for(database: ManagedDatabase) -> list[Script]:
    """The migrations that are meant for a database, see :func:`meant_for`."""
    rows = Migration.objects.filter(application=database.environment.application)
    here = [row for row in rows if meant_for(row, database)]
    elsewhere = {row.version for row in rows} - {row.version for row in here}
    return [replace(script_of(row), requires=tuple(set(row.requires) - elsewhere)) for row in here]


def _check(migration: Migration, script: Script) -> None:
    if not CATEGORY.match(migration.category):
        raise ServiceError(
            f"{migration.category!r} can't be a category: capital letters, digits and dashes, at most 20. Nothing was kept."
        )
    try:
        migration.clean_fields(exclude=["checksum", "fingerprint", "created_by"])
        read_header(migration.sql, file=migration.version)
    except ValidationError as error:
        wrong = "; ".join(f"{key}: {' '.join(texts)}" for key, texts in error.message_dict.items())
        raise ServiceError(f"{wrong} Nothing was kept.") from error
    except SourceError as error:
        raise ServiceError(f"{error} Nothing was kept.") from error
    errors = script.check()
    if errors:
        raise ServiceError("\n".join([*(str(error) for error in errors), "Nothing was kept."]))


def _check_graph(application: Application, script: Script) -> None:
    others = [other for other in scripts_of(application) if other.version != script.version]
    try:
        graph.order([*others, script])
    except RunnerError as error:
        raise ServiceError(f"{error} Nothing was kept.") from error


def _again(there: Migration, given: Migration, actor: audit.Actor) -> Migration:
    """The version is there: the same is fine, another text only while nothing has used it."""
    changed = [name for name in CHANGEABLE if getattr(there, name) != getattr(given, name)]
    if not changed:
        return there
    used = _used_by(there)
    if used and set(changed) & {"sql", "requires"}:
        raise Conflict(
            f"{there.version} is registered with other content (sha256 {there.checksum[:12]}, given {checksum(given.sql)[:12]}) "
            f"and is {used}: its SQL may not change. Nothing was kept. Register the change under a new version."
        )
    before = there.checksum
    for name in (*CHANGEABLE, "checksum", "fingerprint"):
        setattr(there, name, getattr(given, name))
    there.save()
    data = {"changed": changed, "checksum_before": before, "checksum": there.checksum}
    audit.record(action="migration.changed", subject=there, actor=actor, data=data)
    return there


CHANGEABLE = ("name", "category", "sql", "revert_sql", "verify_sql", "requires", "file_text")


def _used_by(migration: Migration) -> str:
    applied = AppliedMigration.objects.filter(
        database__environment__application=migration.application, version=migration.version
    ).first()
    if applied is not None:
        return f"applied to {applied.database}"
    release = Release.objects.filter(application=migration.application, migrations__contains=[migration.version]).first()
    return f"part of release {release.version}" if release is not None else ""


def _versions(application: Application) -> set[str]:
    return set(Migration.objects.filter(application=application).values_list("version", flat=True))
