"""One planted database: for every check a schema of its own with defects, and look-alikes that are none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planted:
    """``sql`` runs with the plant's own schema as the path; ``sick`` and ``healthy`` are names of objects within it."""

    check: str
    sql: str
    sick: tuple[str, ...]
    healthy: tuple[str, ...]
    #: Further checks that rightly fail on the same objects.
    also: tuple[str, ...] = ()

    @property
    def schema(self) -> str:
        return "p_" + self.check.replace(".", "_")


def everything() -> list[Planted]:
    from tests.environments.diagnosis.planted import constraints, indexes, rows, security, tables

    return [*indexes.PLANTED, *constraints.PLANTED, *rows.PLANTED, *tables.PLANTED, *security.PLANTED]
