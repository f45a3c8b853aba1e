"""One file an area (two where it is large); importing this package registers them all."""

from environments.diagnosis.checks import (  # noqa: F401
    capacity,
    configuration,
    constraint,
    cross,
    cross_state,
    env,
    index,
    index_waste,
    integrity,
    naming,
    performance,
    schema,
    schema_more,
    secrets,
    security,
)
