"""When schemas are kept by themselves, in UTC: between the backup and the diagnosis."""

from controlplane.core.schedules import Schedule, register
from migrations_registry.services import snapshots

register(
    Schedule(
        name="nightly-schemas",
        kind=snapshots.KIND,
        cron="50 1 * * *",
        description="Reads every database's schema and keeps it when it changed.",
    )
)
register(
    Schedule(
        name="schema-retention",
        kind="schema.retention",
        cron="35 4 * * *",
        description="Thins out kept schemas: all of a month, one a week of a year, and those beside runs of migrations.",
    )
)
