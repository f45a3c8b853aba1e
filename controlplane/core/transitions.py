"""The one way in which a state changes: compare-and-set on (state, version), with its audit event in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from django.db import models, transaction
from django.utils import timezone

from controlplane.core import audit
from controlplane.core.models import bump_version


class TransitionError(Exception):
    """A state change that was refused. The message is for people; nothing was changed."""


class IllegalTransition(TransitionError):
    """The state machine has no such step."""


class StateChangedMeanwhile(TransitionError):
    """Somebody else was first."""


class Stateful(Protocol):
    transitions: ClassVar[dict[str, frozenset[str]]]
    state: str
    version: int
    pk: Any


def transition(
    obj: Any,
    *,
    to: str,
    actor: audit.Actor,
    action: str = "",
    summary: str = "",
    data: dict[str, Any] | None = None,
    expected_from: Iterable[str] | None = None,
    expected_version: int | None = None,
    **changes: Any,
) -> None:
    """Moves ``obj`` to the state ``to`` and sets ``changes`` with it, or raises and changes nothing.

    Compares with the state and version that ``obj`` was read with (or ``expected_version``, as a form showed it).
    Raises :class:`IllegalTransition` and :class:`StateChangedMeanwhile`.
    """
    name = obj._meta.verbose_name
    if expected_from is not None and obj.state not in set(expected_from):
        raise StateChangedMeanwhile(
            f"This {name} is {_label(obj, obj.state)}: it can't become {_label(obj, to)} any more. Nothing was changed."
        )
    if to not in obj.transitions.get(obj.state, frozenset()):
        raise IllegalTransition(f"A {name} can't go from {_label(obj, obj.state)} to {_label(obj, to)}. Nothing was changed.")
    version = obj.version if expected_version is None else expected_version
    before = obj.state
    now = timezone.now()
    model: type[models.Model] = type(obj)
    with transaction.atomic():
        audit.lock_chain()
        rows = model._default_manager.filter(pk=obj.pk, state=before, version=version).update(
            state=to, version=bump_version(), state_changed_at=now, **changes
        )
        if rows != 1:
            obj.refresh_from_db()
            raise StateChangedMeanwhile(
                f"This {name} changed meanwhile and is now {_label(obj, obj.state)}. "
                "Nothing was changed by you; look at it again."
            )
        for field, value in {**changes, "state": to, "version": version + 1, "state_changed_at": now}.items():
            setattr(obj, field, value)
        audit.record(
            action=action or f"{obj._meta.model_name}.{to}",
            subject=obj,
            actor=actor,
            summary=summary,
            data={"from": before, "to": to, **(data or {})},
        )


def _label(obj: Any, state: str) -> str:
    choices = dict(obj._meta.get_field("state").choices or ())
    return str(choices.get(state, state)).lower()
