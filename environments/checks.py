"""The checks that the ground floor brings, loaded at start-up."""

from environments.diagnosis import checks as _checks  # noqa: F401
