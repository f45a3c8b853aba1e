"""What the rules may know beside the statement: the file so far, and the database where one is at hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from migrations_registry.runner.parse import Node, Statement


class Live(Protocol):
    """Facts of the database that the migration is meant for; None where it does not know."""

    def version(self) -> int: ...

    def exists(self, table: str) -> bool | None: ...

    def rows(self, table: str) -> int | None:
        """An estimate, or None when the table was never analysed."""

    def column_type(self, table: str, column: str) -> str | None:
        """As format_type() writes it: "character varying(20)"."""

    def constraint_kind(self, table: str, name: str) -> str | None:
        """pg_constraint.contype, with the referenced table behind a colon for foreign keys."""

    def has_policies(self, table: str) -> bool | None: ...

    def not_null_proved(self, table: str, column: str) -> bool | None:
        """Whether a valid CHECK (column IS NOT NULL) is there."""

    def time_zone_is_utc(self) -> bool | None: ...

    def is_volatile(self, function: str) -> bool | None: ...


#: Below this a scan or a rewrite is over before anybody notices.
SMALL_TABLE_ROWS = 10_000


@dataclass
class Context:
    """The file so far. Sets hold logical names of tables ("app.users"; "users" for the schema public)."""

    live: Live | None = None
    statement: Statement = field(default_factory=lambda: Statement("", {}, "", 0, 1, 1))
    #: The table of the ALTER TABLE whose commands are being looked at.
    table: str = ""
    created: set[str] = field(default_factory=set)
    created_indexes: set[str] = field(default_factory=set)
    #: In the transaction so far.
    in_block: bool = False
    exclusive: dict[str, Statement] = field(default_factory=dict)
    not_valid: set[tuple[str, str]] = field(default_factory=set)
    new_enum_values: set[str] = field(default_factory=set)
    #: In the whole file.
    not_null_checks: dict[tuple[str, str], str] = field(default_factory=dict)
    proved_not_null: set[tuple[str, str]] = field(default_factory=set)
    row_security: dict[str, Statement] = field(default_factory=dict)
    policies: set[str] = field(default_factory=set)

    def is_new(self, table: str) -> bool:
        """Nobody uses the table yet: it is made in this file, or the database does not have it."""
        return table in self.created or (self.live is not None and self.live.exists(table) is False)

    def is_small(self, table: str) -> bool:
        if self.live is None or not table:
            return False
        rows = self.live.rows(table)
        return rows is not None and rows < SMALL_TABLE_ROWS

    def transaction_ends(self) -> None:
        self.exclusive.clear()
        self.not_valid.clear()
        self.new_enum_values.clear()


def name_of(relation: Node) -> str:
    """A RangeVar's logical name."""
    schema = relation.get("schemaname", "")
    return relation["relname"] if schema in ("", "public") else f"{schema}.{relation['relname']}"


def strings(items: list[Node]) -> list[str]:
    return [item["String"]["sval"] for item in items if "String" in item]


def dotted(parts: list[str]) -> str:
    """The logical name of a qualified name."""
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] == "public" else parts)


def type_name(node: Node) -> str:
    """The last part of a TypeName: "int4", "varchar", "serial"."""
    names = strings(node.get("names", []))
    return names[-1] if names else ""
