"""One file an area; importing this package registers them all."""

from environments.diagnosis.checks import index, schema  # noqa: F401
