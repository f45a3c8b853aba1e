"""When data work runs by itself, in UTC: backups before the diagnosis of 02:00 looks at their age."""

from controlplane.core.schedules import Schedule, register

register(Schedule("nightly-backup", kind="backup.run", cron="0 1 * * *", description="A backup of every managed database."))
register(Schedule("staging-sync", kind="sync.run", cron="30 1 * * *", description="Every sync plan that is marked as scheduled."))
register(
    Schedule(
        "weekly-cleanup", kind="cleanup.run", cron="0 3 * * 0", description="Cleanup rules; in protected environments a dry run."
    )
)
register(Schedule("retention", kind="retention.run", cron="30 4 * * *", description="Removes backups older than 30 days."))
