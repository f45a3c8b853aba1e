"""The sidebar: pages and models by what people want, not by the app that holds the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

#: The groups from top to bottom. What names none of them (accounts, schedules) comes last.
GROUPS = ("Delivery", "Health", "Migrations", "Data", "Topology", "System")
REST = "Accounts and schedules"

#: How many things of a page wait for somebody; 0 shows nothing.
Counter = Callable[[HttpRequest], int]


@dataclass(frozen=True, slots=True)
class Nav:
    """Where a model's list or a page stands in the sidebar."""

    group: str
    order: int = 100
    label: str = ""
    count: Counter | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    label: str
    url: str
    order: int
    count: int
    current: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page of its own: not about one model."""

    path: str
    name: str
    title: str
    view: Callable[..., Any]
    #: None: it is reached from other pages only.
    nav: Nav | None
    #: As "app.codename"; who lacks it neither sees the link nor the page.
    permission: str
    #: It answers POST alone: it changes something, or works on a choice too long for an address.
    posts: bool = False


def navigation(site: AdminSite, request: HttpRequest, pages: list[Page]) -> list[tuple[str, list[Entry]]]:
    """The groups with the entries that this person may see."""
    groups: dict[str, list[Entry]] = {name: [] for name in (*GROUPS, REST)}
    for page in pages:
        if page.nav is not None and request.user.has_perm(page.permission):
            _add(groups, page.nav, page.title, reverse(f"{site.name}:{page.name}"), request)
    for model, model_admin in site._registry.items():
        if not model_admin.has_module_permission(request) or not model_admin.has_view_permission(request):
            continue
        nav = getattr(model_admin, "nav", Nav(REST))
        if nav is None:
            continue
        try:
            url = reverse(f"{site.name}:{model._meta.app_label}_{model._meta.model_name}_changelist")
        except NoReverseMatch:
            continue
        title = str(model._meta.verbose_name_plural)
        _add(groups, nav, title[:1].upper() + title[1:], url, request)
    return [(name, sorted(entries, key=lambda e: (e.order, e.label))) for name, entries in groups.items() if entries]


def _add(groups: dict[str, list[Entry]], nav: Nav, title: str, url: str, request: HttpRequest) -> None:
    count = nav.count(request) if nav.count else 0
    entry = Entry(nav.label or title, url, nav.order, count, request.path.startswith(url))
    groups.setdefault(nav.group, []).append(entry)
