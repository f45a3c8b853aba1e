"""Loaded at start-up: the steps of this app."""

from environments.data import step as _data  # noqa: F401
from environments.delivery import steps as _delivery  # noqa: F401
