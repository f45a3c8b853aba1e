"""The admin site: the operator's screen."""

from django.contrib.admin import AdminSite


class EvenkeelAdminSite(AdminSite):
    site_header = "Evenkeel"
    site_title = "Evenkeel"
    index_title = "Overview"
