"""The schedule of a test, for the worker's process."""

from controlplane.core import schedules
from controlplane.core.schedules import Schedule

schedules.register(Schedule(name="Nightly note", kind="test.note", cron="0 2 * * *"))
