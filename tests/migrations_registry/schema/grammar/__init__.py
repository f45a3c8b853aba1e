"""A grammar of schemas: every kind of object, standing on each other in every way, as statements.

A schema is a function of named decisions (:class:`Choices`). Its neighbour takes most of the decisions as they are and some
anew, so that a pair differs in one default, or in nearly everything. What PostgreSQL refuses is left out by who loads it, which
keeps the grammar simple and lets it try more than always works.
"""

from __future__ import annotations

from tests.migrations_registry.schema.grammar import access, code, relations, tables, types
from tests.migrations_registry.schema.grammar.choices import ROLES, Choices, Model


def statements(choices: Choices) -> list[str]:
    """One schema, in an order in which it can be made."""
    model = Model(choices)
    for make in (types.make, code.make, tables.make, code.make_on_tables, relations.make, access.make):
        make(model)
    return model.statements


__all__ = ["ROLES", "Choices", "statements"]
