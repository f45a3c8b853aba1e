"""The cellar: what every floor stands on."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "controlplane.core"
    label = "core"
    verbose_name = "Jobs and audit"

    def ready(self) -> None:
        from controlplane.core import retention  # noqa: F401 - declares its job and schedule
