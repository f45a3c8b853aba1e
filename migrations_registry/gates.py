"""Gates of this app, one line each; imported at start-up."""

from migrations_registry import plan_gate as _plan  # noqa: F401
