"""Loaded at start-up: the steps of this app."""

from environments.delivery import steps as _delivery  # noqa: F401
