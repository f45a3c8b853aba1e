"""Puts the project's own admin site in the place of Django's."""

from django.contrib.admin.apps import AdminConfig


class EvenkeelAdminConfig(AdminConfig):
    default_site = "controlplane.core.adminsite.site.EvenkeelAdminSite"
