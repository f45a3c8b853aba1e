"""A plug-in: error events, their groups and rates, and the guard that watches a rollout."""

from django.apps import AppConfig


class ErrorsConfig(AppConfig):
    name = "errors"
    verbose_name = "Errors"
