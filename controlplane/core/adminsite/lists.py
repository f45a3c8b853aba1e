"""What all lists share: no bulk actions, a title that is a name, words for an empty list, and CSV of what the filters show."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.urls import path, reverse

#: The first characters by which a spreadsheet takes a cell for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, value: str) -> str:
        return value


class ListMixin:
    """For ModelAdmins. Nothing here asks the database more often when there are more rows."""

    actions: Any = None
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    #: A sentence below the title.
    intro = ""
    #: (title, text) where the list has no rows at all.
    empty_list = ("Nothing here yet.", "")
    #: (heading, field path or function of the row) for the CSV; empty offers none.
    csv_columns: tuple[tuple[str, str | Callable[[Any], object]], ...] = ()

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"  # type: ignore[attr-defined]
        view = self.admin_site.admin_view(self.csv_view)  # type: ignore[attr-defined]
        own: list[Any] = [path("export.csv", view, name=name)] if self.csv_columns else []
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        opts = self.opts  # type: ignore[attr-defined]
        nav = getattr(self, "nav", None)
        title = (nav.label if nav else "") or str(opts.verbose_name_plural)
        context: dict[str, Any] = {"title": title[:1].upper() + title[1:], "intro": self.intro, "empty_list": self.empty_list}
        if self.csv_columns:
            query = request.GET.urlencode()
            url = reverse(f"admin:{opts.app_label}_{opts.model_name}_csv")
            context["csv_url"] = f"{url}?{query}" if query else url
        response: HttpResponse = super().changelist_view(request, {**context, **(extra_context or {})})  # type: ignore[misc]
        return response

    def csv_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """All rows that the list's filters and search leave, streamed. Reading only, so a GET may do it."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        changelist = self.get_changelist_instance(request)  # type: ignore[attr-defined]
        rows = changelist.get_queryset(request)
        if self.list_select_related and self.list_select_related is not True:  # type: ignore[attr-defined]
            rows = rows.select_related(*self.list_select_related)  # type: ignore[attr-defined]
        response = StreamingHttpResponse(self._lines(rows), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{self.opts.model_name}s.csv"'  # type: ignore[attr-defined]
        return response

    def _lines(self, rows: models.QuerySet[Any]) -> Iterator[str]:
        writer = csv.writer(_Echo())
        yield writer.writerow([heading for heading, _ in self.csv_columns])
        for row in rows.iterator(chunk_size=1000):
            yield writer.writerow([cell(row, source) for _, source in self.csv_columns])


def cell(row: Any, source: str | Callable[[Any], object]) -> str:
    """The value as text that no spreadsheet runs as a formula."""
    value: object = row
    if callable(source):
        value = source(row)
    else:
        for part in source.split("__"):
            value = getattr(value, part, None) if value is not None else None
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
