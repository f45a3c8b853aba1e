"""/admin/migrations/: which migration was applied where, and the newest runs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card
from controlplane.core.adminsite.navigation import Nav, Page
from environments.models import Application, ManagedDatabase
from migrations_registry.admin.base import LIMIT, who
from migrations_registry.models import AppliedMigration, Migration, MigrationRun
from migrations_registry.services.registry import meant_for


def overview(request: HttpRequest) -> HttpResponse:
    """/admin/migrations/: migrations x databases of every application, and the newest runs. A fixed number of queries."""
    migrations = list(Migration.objects.select_related("application").defer("revert_sql", "verify_sql").order_by("-version"))
    databases = list(ManagedDatabase.objects.select_related("environment__application").order_by("environment__order", "name"))
    applied = {
        (database, version): (checksum, at)
        for database, version, checksum, at in AppliedMigration.objects.values_list(
            "database_id", "version", "checksum", "applied_at"
        )
    }
    cards = [
        _matrix(application, [m for m in migrations if m.application_id == application.pk], databases, applied)
        for application in Application.objects.all()
    ]
    runs = MigrationRun.objects.select_related("database__environment__application", "actor").defer("log", "plan", "results")[:15]
    rows = [
        [present.link(r, str(r.database)), r.get_mode_display(), present.state_badge(r), who(r), present.ago(r.started_at)]
        for r in runs
    ]
    newest = present.table(["Database", "Mode", "State", "By", "When"], rows, label="Newest runs", empty="No run yet.")
    more = format_html(
        '<a href="{}">All migrations</a> · <a href="{}">All runs</a>', present.list_url(Migration), present.list_url(MigrationRun)
    )
    context = {
        **admin.site.each_context(request),
        "title": "Migrations",
        "heading": "Migrations",
        "lead": format_html(
            'Which migration was applied to which database. <a href="{}">Schema drift</a> · <a href="{}">Schema timeline</a>',
            reverse("admin:schema_drift"),
            reverse("admin:schema_timeline"),
        ),
        "opts": Migration._meta,
        "cards": [*cards, Card(title="Newest runs", note=more, body=newest)],
    }
    return TemplateResponse(request, "admin/evenkeel/page.html", context)


def _matrix(
    application: Application, migrations: list[Migration], databases: list[ManagedDatabase], applied: dict[Any, Any]
) -> Card:
    own = [d for d in databases if d.environment.application_id == application.pk]
    if not migrations:
        text = "It has no migration yet. They come from files, repairs and findings, or are registered here."
        return Card(title=application.name, body=present.empty("Nothing here yet.", text))
    rows = []
    pending = 0
    for migration in migrations[:LIMIT]:
        cells: list[object] = [present.link(migration), present.badge(migration.category)]
        for database in own:
            found = applied.get((database.pk, migration.version))
            if found is None and not meant_for(migration, database):
                cells.append(present.badge("Not meant for it"))
            elif found is None:
                pending += 1
                cells.append(present.badge("Pending", "wait"))
            elif found[0] != migration.checksum:
                cells.append(present.badge("Another SQL", "bad"))
            else:
                cells.append(format_html("{} {}", present.badge("Applied", "ok"), present.ago(found[1])))
        rows.append(cells)
    columns = ["Migration", "Category", *(f"{d.environment.name}:{d.name}" for d in own)]
    note = f"{len(migrations)} migrations, {pending} pending in all" + (
        f"; the newest {LIMIT} are shown" if len(migrations) > LIMIT else ""
    )
    return Card(title=application.name, note=note, body=present.table(columns, rows, label=f"Migrations of {application.name}"))


admin.site.register_page(  # type: ignore[attr-defined]
    Page("migrations/", "migrations_overview", "Overview", overview, Nav("Migrations", 10), "migrations_registry.view_migration")
)
