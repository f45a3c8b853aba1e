"""Migrations on the screen: the rows, the overview, and what this floor adds to the pages of the one below."""

from migrations_registry.admin import additions, migration, overview, run  # noqa: F401  the import registers
