"""A plug-in: migrations of managed databases, and the truth about their schemas."""

from django.apps import AppConfig


class MigrationsRegistryConfig(AppConfig):
    name = "migrations_registry"
    verbose_name = "Migrations"
