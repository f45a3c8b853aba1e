"""When the diagnosis runs by itself."""

from __future__ import annotations

from controlplane.core.schedules import Schedule, register
from environments.services.diagnosis import KIND, WATCH_KIND

register(
    Schedule(
        name="nightly-diagnosis",
        kind=KIND,
        cron="0 2 * * *",
        description="Judges every environment and says what changed since the last time.",
    )
)
register(
    Schedule(
        name="missed-diagnoses",
        kind=WATCH_KIND,
        cron="30 6 * * *",
        description="Says in the morning which environments were not diagnosed in the night.",
    )
)
