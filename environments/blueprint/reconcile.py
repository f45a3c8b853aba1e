"""The service that makes the database hold what a blueprint declares: one transaction, one audit event a change."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.deletion import Collector, ProtectedError, RestrictedError

from controlplane.core import audit, locks
from environments.blueprint.changes import Action, Change, compare
from environments.blueprint.document import Problem
from environments.blueprint.model import Blueprint
from environments.blueprint.parse import BlueprintError
from environments.blueprint.state import KINDS, Fact, declared, label, stored
from environments.models import Application
from environments.models import Environment as EnvironmentRow


def plan(*, blueprint: Blueprint, prune: bool = False) -> list[Change]:
    """What :func:`apply` would do. Raises :class:`BlueprintError` like it; changes nothing."""
    return apply(blueprint=blueprint, actor=None, dry_run=True, prune=prune)


def apply(*, blueprint: Blueprint, actor: audit.Actor, dry_run: bool = False, prune: bool = False) -> list[Change]:
    """Creates and updates what the blueprint declares and returns every change, in the order in which it was made.

    What the blueprint does not name stays, and is reported; with ``prune`` it is deleted unless it has history. A dry run does
    all of it and takes it back, so that it can't promise what the database would refuse. Raises :class:`BlueprintError` when
    what is there contradicts the blueprint; nothing is changed then.
    """
    with transaction.atomic():
        locks.hold_to_end(f"blueprint:{blueprint.application}")
        changes = _apply(blueprint, actor, prune)
        if dry_run:
            transaction.set_rollback(True)
    return changes


def _apply(blueprint: Blueprint, actor: audit.Actor, prune: bool) -> list[Change]:
    slug = blueprint.application
    application = Application.objects.filter(slug=slug).first()
    after = declared(blueprint)
    before = stored(application) if application is not None else {}
    compared = compare(before, after)
    unnamed = [fact for action, fact, _ in compared if action is Action.UNNAMED]
    _refuse_second_truth(blueprint, application, unnamed, prune)
    if application is not None:  # who gives it up does so first: the database allows one at any moment
        giving_up = [name for name, environment in blueprint.environments.items() if not environment.source_of_truth]
        application.environments.filter(name__in=giving_up).update(is_source_of_truth=False)
    changes = []
    for kind in KINDS:
        for action, fact, fields in compared:
            if fact[0] != kind or action is Action.UNNAMED:
                continue
            change = Change(action, kind, label(slug, fact), fact, fields)
            if change.is_change:
                row = _write(change, after[fact], application)
                application = application or (row if isinstance(row, Application) else None)
                _record(change, row, actor)
            changes.append(change)
    for fact in _from_the_leaves(unnamed):
        changes.append(_unnamed(slug, fact, application, actor, prune))
    return changes


def _from_the_leaves(facts: list[Fact]) -> list[Fact]:
    """What depends on others first: by kind backwards, and later environments before those they are promoted from."""
    places = {fact: (list(KINDS).index(fact[0]), place) for place, fact in enumerate(facts)}
    return sorted(facts, key=places.__getitem__, reverse=True)


def _write(change: Change, values: dict[str, Any], application: Application | None) -> models.Model:
    kind = KINDS[change.kind]
    if application is None:
        row: models.Model = Application(slug=change.name)
    elif change.action is Action.CREATE:
        row = kind.model(**_identity(change.fact, application))
    else:
        row = _find(change.fact, application)
    keys = values if change.action is Action.CREATE else change.fields
    for key in keys:
        value = values[key]
        if key in kind.environments and value is not None:
            value = _environment(application, value)
        setattr(row, kind.field(key), value)
    try:
        row.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:  # the parser knows the limits; this is for what an operator's row brought along
        details = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
        raise BlueprintError(change.name, [Problem(0, 0, f"{change.kind} can't be saved. {details}")]) from error
    row.save()
    return row


def _identity(fact: Fact, application: Application) -> dict[str, Any]:
    """The fields that name a new row."""
    kind, name = fact
    if kind in ("component", "database"):
        return {"environment": _environment(application, name[0]), "name": name[1]}
    return {"application": application, **dict(zip(KINDS[kind].name, name, strict=True))}


def _find(fact: Fact, application: Application) -> models.Model:
    kind, name = fact
    if kind == "application":
        return application
    lookup: dict[str, Any] = dict(zip(KINDS[kind].name, name, strict=True))
    lookup["environment__application" if kind in ("component", "database") else "application"] = application
    return KINDS[kind].model._default_manager.get(**lookup)


def _environment(application: Application | None, name: str) -> EnvironmentRow:
    return EnvironmentRow.objects.get(application=application, name=name)


def _refuse_second_truth(blueprint: Blueprint, application: Application | None, unnamed: list[Fact], prune: bool) -> None:
    """An environment that the file forgot may be the source of truth already."""
    wanted = [name for name, environment in blueprint.environments.items() if environment.source_of_truth]
    if application is None or not wanted:
        return
    forgotten = {fact[1][0] for fact in unnamed if fact[0] == "environment"}
    for row in application.environments.filter(is_source_of_truth=True, name__in=forgotten):
        message = (
            f"{wanted[0]!r} can't become the source of truth: {row.name!r} is, and the file does not name it. Name it with "
            "'source_of_truth: false' first" + (", then prune it." if prune else ".")
        )
        raise BlueprintError(blueprint.application, [Problem(0, 0, message)])


def _unnamed(slug: str, fact: Fact, application: Application | None, actor: audit.Actor, prune: bool) -> Change:
    name = label(slug, fact)
    if not prune or application is None:
        return Change(Action.UNNAMED, fact[0], name, fact, note="The file does not name it. It stays; --prune deletes it.")
    row = _find(fact, application)
    history = _history(row)
    if history:
        note = f"The file does not name it, but it has history ({history}), which is never deleted. It stays."
        return Change(Action.KEPT, fact[0], name, fact, note=note)
    change = Change(Action.DELETE, fact[0], name, fact)
    _record(change, row, actor)
    row.delete()
    return change


def _history(row: models.Model) -> str:
    """The kinds of rows that hang on this one, in words; deleting it must take nothing else along."""
    collector = Collector(using="default", origin=row)
    try:
        collector.collect([row])
    except (ProtectedError, RestrictedError) as error:
        holders = error.protected_objects if isinstance(error, ProtectedError) else error.restricted_objects
        return ", ".join(sorted({str(holder._meta.verbose_name_plural) for holder in holders}))
    updated = [batch for batches in collector.field_updates.values() for batch in batches]
    others = {type(other) for batch in (*collector.data.values(), *collector.fast_deletes, *updated) for other in _rows(batch)}
    return ", ".join(sorted(str(model._meta.verbose_name_plural) for model in others - {type(row)}))


def _rows(batch: Any) -> list[models.Model]:
    return [batch] if isinstance(batch, models.Model) else list(batch)


def _record(change: Change, row: models.Model, actor: audit.Actor) -> None:
    fields = {key: list(values) for key, values in change.fields.items()}
    summary = f"{change.kind} {change.name}"
    audit.record(action=f"blueprint.{change.action}", subject=row, actor=actor, summary=summary, data=fields)
