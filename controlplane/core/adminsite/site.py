"""The admin site: the operator's screen. Its first page is the dashboard, its sidebar is ours, nothing is deleted in bulk."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import path
from django.urls.resolvers import URLPattern, URLResolver

from controlplane.core.adminsite.navigation import Page, navigation

#: The colours that the label of the instance may have; the stylesheet knows each of them in light and dark.
COLOURS = ("teal", "blue", "green", "amber", "red", "purple", "grey")


class EvenkeelAdminSite(AdminSite):
    site_header = "Evenkeel"
    site_title = "Evenkeel"
    index_title = "Overview"
    site_url = None

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        # History is not deleted, and not in bulk: single rows of the topology may be, where a group has the permission.
        self.disable_action("delete_selected")
        self._pages: list[Page] = []
        self._dashboard: Callable[[HttpRequest], dict[str, Any]] | None = None

    def use_dashboard(self, collect: Callable[[HttpRequest], dict[str, Any]]) -> None:
        """What the first page shows. The roof knows; the cellar only asks."""
        self._dashboard = collect

    def register_page(self, page: Page) -> None:
        self._pages.append(page)

    def get_urls(self) -> list[URLResolver | URLPattern]:
        own = [path(page.path, self.admin_view(self._guarded(page)), name=page.name) for page in self._pages]
        return [*own, *super().get_urls()]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        colour = settings.EVENKEEL_INSTANCE_COLOUR
        return {
            **super().each_context(request),
            "instance": settings.EVENKEEL_INSTANCE,
            "instance_colour": colour if colour in COLOURS else "grey",
            "evenkeel_version": _version(),
            "navigation": navigation(self, request, self._pages) if self.has_permission(request) else [],
        }

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        dashboard = self._dashboard(request) if self._dashboard else {}
        return super().index(request, {**dashboard, **(extra_context or {})})

    def _guarded(self, page: Page) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            methods = ["POST"] if page.posts else ["GET", "HEAD"]
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            if not request.user.has_perm(page.permission):
                raise PermissionDenied
            response: HttpResponse = page.view(request, *args, **kwargs)
            return response

        return view


def _version() -> str:
    try:
        return version("evenkeel")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return ""
