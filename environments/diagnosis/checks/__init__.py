"""One file an area; importing this package registers them all."""

from environments.diagnosis.checks import cross, env, index, naming, schema  # noqa: F401
