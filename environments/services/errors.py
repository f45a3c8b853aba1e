"""What a service may refuse. Every message is for people: what was wrong, what was kept, what to do."""

from __future__ import annotations

from controlplane.core.audit import Actor


class ServiceError(Exception):
    """The request was refused and nothing was changed, unless the message says otherwise."""


class NotAllowed(ServiceError):
    """This person may not do this."""


class Stale(ServiceError):
    """What the person decided about is no longer what is there."""


class Conflict(ServiceError):
    """Somebody else was first, or the state of things does not allow it."""


def require(actor: Actor, permission: str, what: str) -> None:
    """Raises :class:`NotAllowed` unless the actor has ``environments.<permission>``. None is the system itself."""
    if actor is not None and not actor.has_perm(f"environments.{permission}"):
        raise NotAllowed(f"{actor.get_username()} may not {what}. Nothing was changed; an administrator can grant it.")
