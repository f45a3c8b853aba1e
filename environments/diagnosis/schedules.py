"""When the diagnosis runs by itself."""

from __future__ import annotations

from controlplane.core.schedules import Schedule, register
from environments.services.diagnosis import KIND

register(
    Schedule(
        name="Nightly diagnosis",
        kind=KIND,
        cron="0 2 * * *",
        description="Judges every environment and says what changed since the last time.",
    )
)
