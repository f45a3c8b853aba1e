"""When delivery looks after itself."""

from controlplane.core.schedules import Schedule, register

register(
    Schedule(
        name="promotion-sweep",
        kind="promotion.sweep",
        every_seconds=60,
        description="Expires and resumes promotions; heals what no worker carries any more.",
    )
)
