"""The pages of the ground floor; one module a subject, as the models."""

from environments.admin import (  # noqa: F401  the import registers
    cleanup,
    deployment,
    diagnosis,
    environment,
    finding,
    movement,
    promotion,
    release,
    topology,
)
