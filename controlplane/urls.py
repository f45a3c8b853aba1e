"""All addresses."""

from django.contrib import admin
from django.urls import path

from controlplane.health import health, healthz
from controlplane.metrics import metrics
from errors.views import report

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health", health),
    path("healthz", healthz),
    path("metrics", metrics),
    path("api/errors/", report, name="report-errors"),
]
