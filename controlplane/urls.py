"""All addresses."""

from django.contrib import admin
from django.urls import path

from controlplane import api
from controlplane.health import health, healthz
from controlplane.metrics import metrics
from errors.views import report

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health", health),
    path("healthz", healthz),
    path("metrics", metrics),
    path("api/v1/releases", api.record_release),
    path("api/v1/promotions", api.request_promotion),
    path("api/v1/promotions/<int:promotion_id>", api.show_promotion),
    path("api/v1/promotions/<int:promotion_id>/approve", api.approve),
    path("api/v1/promotions/<int:promotion_id>/reject", api.reject),
    path("api/v1/promotions/<int:promotion_id>/withdraw", api.withdraw),
    path("api/errors/", report, name="report-errors"),
]
