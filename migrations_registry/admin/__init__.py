"""Migrations on the screen: the rows, the overview, drift, and what this floor adds to the pages of the one below."""

from migrations_registry.admin import additions, kept, migration, overview, run, timeline  # noqa: F401  the import registers
from migrations_registry.admin.drift import actions, links, page  # noqa: F401
