"""Celery's application. Its settings are those of Django with the prefix CELERY_."""

import os

from celery import Celery

from controlplane.env import stop_unless_configured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")

stop_unless_configured()
app = Celery("evenkeel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
