"""Gates of this app, one line each; imported at start-up."""

from migrations_registry import plan_gate as _plan  # noqa: F401
from migrations_registry import schema_gate as _schema  # noqa: F401
