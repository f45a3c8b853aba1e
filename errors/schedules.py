"""What runs by itself."""

from controlplane.core.schedules import Schedule, register

register(
    Schedule("error-retention", "errors.retention", cron="40 3 * * *", description="Removes error reports older than 90 days.")
)
register(
    Schedule(
        "error-alerts",
        "errors.alerts",
        every_seconds=60,
        description="Notifies when an environment reports too many errors.",
    )
)
