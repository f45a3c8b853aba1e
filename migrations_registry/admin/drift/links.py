"""The ways to the drift page and the timeline, from the pages of the floor below."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlplane.core.adminsite.cards import Card, contribute_card
from environments.models import Environment, Finding, ManagedDatabase, Promotion
from migrations_registry.admin.drift.comparison import Asked
from migrations_registry.admin.drift.listing import Filters
from migrations_registry.admin.drift.page import VIEW
from migrations_registry.schema_checks import name_of

CHECK = "cross.schema_drift"
GATE = "schema-drift"


def drift_url(base: ManagedDatabase, target: ManagedDatabase, *, text: str = "") -> str:
    return Asked(str(base.pk), str(target.pk)).url(Filters(text=text))


def timeline_url(database: ManagedDatabase) -> str:
    return f"{reverse('admin:schema_timeline')}?database={database.pk}"


def truth_of(application: int) -> dict[str, ManagedDatabase]:
    """The databases of the application's source of truth, by name."""
    rows = ManagedDatabase.objects.filter(environment__application=application, environment__is_source_of_truth=True)
    return {row.name: row for row in rows.select_related("environment__application")}


def buttons(links: list[tuple[str, str]]) -> SafeString:
    return format_html(
        '<div class="ek-links">{}</div>',
        format_html_join("", '<a class="ek-button" href="{}">{}</a>', ((u, w) for w, u in links)),
    )


def environment_card(request: HttpRequest, environment: Environment) -> Card | None:
    """For the page of an environment: each database beside the source of truth, and its timeline."""
    if not request.user.has_perm(VIEW):
        return None
    truth = truth_of(environment.application_id)
    links = []
    for database in environment.databases.all():
        other = truth.get(database.name)
        if other is not None and other.pk != database.pk:
            links.append((f"{database.name}: compare with {other.environment.name}", drift_url(database, other)))
        links.append((f"{database.name}: timeline", timeline_url(database)))
    return Card(title="Schema", body=buttons(links)) if links else None


def database_card(request: HttpRequest, database: ManagedDatabase) -> Card | None:
    if not request.user.has_perm(VIEW):
        return None
    other = truth_of(database.environment.application_id).get(database.name)
    links = [("Timeline of its schema", timeline_url(database))]
    if other is not None and other.pk != database.pk:
        links.insert(0, (f"Compare with {other.environment.name}", drift_url(database, other)))
    return Card(title="Schema", body=buttons(links))


def finding_card(request: HttpRequest, finding: Finding) -> Card | None:
    """For a finding of drift: the difference side by side, and all of them."""
    if finding.check_id != CHECK or not request.user.has_perm(VIEW):
        return None
    name, _, about = finding.object.partition(": ")
    database = finding.environment.databases.filter(name=name).first()
    other = truth_of(finding.environment.application_id).get(name)
    if database is None or other is None or other.pk == database.pk:
        return None
    links = [("Compare the whole schemas", drift_url(database, other)), ("Timeline of the schema", timeline_url(database))]
    if about:
        links.insert(0, ("See it side by side", drift_url(database, other, text=name_of(about))))
    return Card(title="Schemas side by side", body=buttons(links))


def promotion_card(request: HttpRequest, promotion: Promotion) -> Card | None:
    """For the gate of drift: the two environments as they are now, before the release's migrations."""
    if promotion.source is None or not request.user.has_perm(VIEW):
        return None
    sources: dict[str, Any] = {database.name: database for database in promotion.source.databases.all()}
    links = [
        (f"{target.name}: {promotion.target.name} beside {promotion.source.name}", drift_url(target, sources[target.name]))
        for target in promotion.target.databases.order_by("name")
        if target.name in sources
    ]
    if not links:
        return None
    return Card(title="Schemas side by side", note="As they are now, before the release's migrations", body=buttons(links))


contribute_card("environments.environment", environment_card)
contribute_card("environments.manageddatabase", database_card)
contribute_card("environments.finding", finding_card, evidence=True)
contribute_card("environments.promotion", promotion_card, evidence=True)
