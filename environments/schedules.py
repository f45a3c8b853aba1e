"""Schedules of this app, one line each; imported at start-up."""

from environments.data import schedules as _data  # noqa: F401
from environments.delivery import schedules as _delivery  # noqa: F401
from environments.diagnosis import schedules as _diagnosis  # noqa: F401
