"""Loaded at start-up: the gates of this app."""

from environments.delivery import gates as _delivery  # noqa: F401
