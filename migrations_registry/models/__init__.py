"""Migrations and their runs, the schemas that databases had, and drift that people accepted."""

from migrations_registry.models.drift import AcceptedDrift, SchemaSnapshot
from migrations_registry.models.migration import AppliedMigration, Category, Migration, MigrationRun
from migrations_registry.models.repair import ProposedRepair

__all__ = ["AcceptedDrift", "AppliedMigration", "Category", "Migration", "MigrationRun", "ProposedRepair", "SchemaSnapshot"]
