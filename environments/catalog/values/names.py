"""What objects are called and who may do what with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

#: Stands for the owner in :class:`Grant`, so that two databases with different owners can hold the same grants.
OWNER = "<owner>"
#: Stands for everybody in :class:`Grant` and in a policy's roles.
PUBLIC = "PUBLIC"
#: One privilege for "all that this kind of object has in this version of PostgreSQL".
ALL = "ALL"


def unlike(default: Any = "") -> Any:
    """A field that is carried along but never compared."""
    return field(default=default, metadata={"compared": False})


class Ref(NamedTuple):
    """What an object is called: ``Ref("column", "public.sessions.title")``."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One privilege. ``grantee`` is a role, :data:`OWNER` or :data:`PUBLIC`; ``privilege`` a keyword or :data:`ALL`."""

    grantee: str
    privilege: str
    grantable: bool = False
