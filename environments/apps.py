"""The ground floor: what exists, what ships, what was found."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class EnvironmentsConfig(AppConfig):
    name = "environments"
    verbose_name = "Environments"

    def ready(self) -> None:
        # Fills the extension points, in every app that has something to contribute (as the admin finds its modules).
        autodiscover_modules("checks", "gates", "steps", "jobs", "schedules")
