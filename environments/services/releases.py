"""Releases: recorded once, never changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction

from controlplane.core import audit
from controlplane.core.audit import Actor
from environments.models import Application, Component, Release
from environments.services.errors import Conflict, ServiceError, require

VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}\Z")
COMMIT = re.compile(r"[0-9a-fA-F]{7,64}\Z")
MIGRATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}\Z")
ARTIFACT_LIMIT = 300
NOTES_LIMIT = 20_000


def record_release(
    *,
    application: Application,
    version: str,
    actor: Actor,
    commit_sha: str = "",
    commit_at: datetime | None = None,
    artifacts: Mapping[str, str] | None = None,
    migrations: Sequence[str] = (),
    notes: str = "",
) -> Release:
    """Records one version. ``artifacts`` is component name -> what its provider deploys; ``migrations`` are versions.

    Raises NotAllowed, Conflict for a version that is there already, and ServiceError for values that can't be used.
    """
    require(actor, "add_release", "record releases")
    artifacts = dict(artifacts or {})
    _check_words(version, commit_sha, migrations, notes)
    _check_artifacts(application, artifacts)
    release = Release(
        application=application,
        version=version,
        commit_sha=commit_sha.lower(),
        commit_at=commit_at,
        artifacts=artifacts,
        migrations=list(dict.fromkeys(migrations)),
        notes=notes,
        created_by=actor,
    )
    try:
        with transaction.atomic():
            release.save(force_insert=True)
            audit.record(
                action="release.recorded",
                subject=release,
                actor=actor,
                data={"commit": commit_sha, "artifacts": artifacts, "migrations": list(migrations)},
            )
    except IntegrityError:
        raise Conflict(
            f"{application} {version} is recorded already, and what a release is made of never changes. Record a new version."
        ) from None
    return release


def _check_words(version: str, commit_sha: str, migrations: Sequence[str], notes: str) -> None:
    if not VERSION.match(version):
        raise ServiceError(
            f"{version[:80]!r} can't be a version: letters, digits, dots, dashes, plus signs and underscores, at most 60. "
            "Nothing was recorded."
        )
    if commit_sha and not COMMIT.match(commit_sha):
        raise ServiceError("The commit must be its hash, 7 to 64 hexadecimal digits: never a branch. Nothing was recorded.")
    if len(notes) > NOTES_LIMIT:
        raise ServiceError(f"The notes are longer than {NOTES_LIMIT} characters. Nothing was recorded.")
    for migration in migrations:
        if not MIGRATION.match(migration):
            raise ServiceError(f"{migration[:130]!r} can't be the version of a migration. Nothing was recorded.")


def _check_artifacts(application: Application, artifacts: Mapping[str, str]) -> None:
    known = set(Component.objects.filter(environment__application=application).values_list("name", flat=True))
    for name, artifact in artifacts.items():
        if name not in known:
            raise ServiceError(
                f"{application} has no component {name[:60]!r}, only {', '.join(sorted(known)) or 'none'}. Nothing was recorded."
            )
        if not artifact or len(artifact) > ARTIFACT_LIMIT or not artifact.isprintable() or artifact.startswith("-"):
            raise ServiceError(
                f"The artifact of {name} must be 1 to {ARTIFACT_LIMIT} printable characters and may not begin with a dash. "
                "Nothing was recorded."
            )
