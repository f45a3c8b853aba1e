"""Schedules of this app, one line each; imported at start-up."""

from migrations_registry import snapshot_schedules as _snapshots  # noqa: F401
