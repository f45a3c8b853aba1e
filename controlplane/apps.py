"""The roof: loads Celery's application, so that every process that loads Django sends tasks to the configured broker."""

from django.apps import AppConfig


class ControlPlaneConfig(AppConfig):
    name = "controlplane"
    label = "controlplane"
    verbose_name = "Control plane"

    def ready(self) -> None:
        from controlplane import celery  # noqa: F401
