"""Checks of this app, one line each; imported at start-up."""

from migrations_registry import schema_checks as _schema  # noqa: F401
from migrations_registry import tracking_checks as _tracking  # noqa: F401
