"""What runs by itself."""

from controlplane.core.schedules import Schedule, register

register(
    Schedule(
        "Error reports: retention", "errors.retention", cron="40 3 * * *", description="Removes error reports older than 90 days."
    )
)
register(
    Schedule(
        "Error reports: alerts",
        "errors.alerts",
        every_seconds=60,
        description="Notifies when an environment reports too many errors.",
    )
)
