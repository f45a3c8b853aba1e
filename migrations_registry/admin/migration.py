"""Migrations: their SQL, what the lint says about it, and where it was applied."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, timeline_card
from controlplane.core.adminsite.decisions import Done
from controlplane.core.adminsite.making import MakingMixin
from controlplane.core.adminsite.navigation import Nav
from controlplane.core.adminsite.sql import sql_block
from environments.models import Application, ManagedDatabase
from migrations_registry.admin.base import MigrationPage, findings_table, person
from migrations_registry.admin.drift.review import proof_html, proof_state, review_url
from migrations_registry.lint.engine import lint
from migrations_registry.models import AppliedMigration, Category, Migration
from migrations_registry.services.registry import meant_for, register_migration


class MigrationForm(forms.Form):
    application = forms.ModelChoiceField(Application.objects.all())
    version = forms.CharField(max_length=120, help_text="Orders migrations that do not depend on each other, as 20261121_0600.")
    name = forms.CharField(max_length=200)
    category = forms.ChoiceField(choices=Category.choices, initial=Category.CORE)
    sql = forms.CharField(label="SQL", widget=forms.Textarea(attrs={"rows": 10, "class": "ek-sql"}))
    revert_sql = forms.CharField(
        label="Revert SQL", required=False, widget=forms.Textarea(attrs={"rows": 5, "class": "ek-sql"}),
        help_text="How to take it back. Without it there is no way back but forward.",
    )  # fmt: skip
    verify_sql = forms.CharField(label="Verify SQL", required=False, widget=forms.Textarea(attrs={"rows": 3, "class": "ek-sql"}))
    requires = forms.CharField(required=False, help_text="Versions that must be applied before, separated by spaces.")


@admin.register(Migration)
class MigrationAdmin(MakingMixin, MigrationPage):
    nav = Nav("Migrations", 20)
    intro = "Changes of schemas. Once one was applied anywhere its SQL is fixed: a correction is another migration."
    empty_list = ("No migration yet.", "They come from files in a release, from repairs, from findings, or are added here.")
    list_display = ("version", "name", "application", "category", "reversible", "created_at")
    list_filter = ("application", "category", "created_at")
    list_select_related = ("application",)
    page_select_related = ("application", "created_by", "repair__job")
    search_fields = ("version", "name", "sql")
    ordering = ("application", "-version")
    make_permission = "migrations_registry.add_migration"
    make_form = MigrationForm
    make_title = "Register a migration"
    make_label = "Register the migration"

    def make(self, request: HttpRequest, data: dict[str, Any]) -> Done:
        given = {name: data[name] for name in ("application", "version", "name", "category", "sql", "revert_sql", "verify_sql")}
        migration = register_migration(**given, requires=tuple(data["requires"].split()), actor=person(request), origin="admin")
        return Done(f"{migration} is registered. Nothing has run yet.", migration)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("verify_sql")

    def unfinished(self, obj: Migration) -> bool:
        return obj.proof is None and obj.repair is not None and proof_state(obj.repair) == "running"

    def heading(self, obj: Migration) -> str:
        return f"{obj.version} {obj.name}"

    def badges(self, obj: Migration) -> list[SafeString]:
        return [present.badge(obj.category), self.reversible(obj)]

    def evidence_cards(self, request: HttpRequest, obj: Migration) -> list[Card]:
        made = [Card(title="SQL", note=format_html("sha256 {}", present.code(obj.checksum, short=12)), body=sql_block(obj.sql))]
        if obj.revert_sql:
            made.append(Card(title="Revert SQL", body=sql_block(obj.revert_sql, label="Revert SQL")))
        if obj.verify_sql:
            made.append(Card(title="Verify SQL", body=sql_block(obj.verify_sql, label="Verify SQL")))
        return [*made, *proof_cards(obj), lint_card(obj)]

    def cards(self, request: HttpRequest, obj: Migration) -> list[Card]:
        applied = {
            a.database_id: a
            for a in AppliedMigration.objects.filter(version=obj.version, database__environment__application=obj.application_id)
        }
        databases = ManagedDatabase.objects.filter(environment__application=obj.application_id).select_related("environment")
        rows = [
            [present.link(d), *_applied_cells(applied.get(d.pk), obj, d)]
            for d in databases.select_related("environment__application").order_by("environment__order", "name")
        ]
        facts = [
            ("Application", present.link(obj.application)), ("Requires", present.shown(list(obj.requires))), ("From", obj.origin),
            ("Registered by", obj.created_by.get_username() if obj.created_by else "system"),
            ("Registered", present.when(obj.created_at)),
        ]  # fmt: skip
        return [
            Card(
                title="Where it was applied",
                half=True,
                body=present.table(
                    ["Database", "State", "When"], rows, label="Databases", empty="The application has no database."
                ),
            ),
            Card(title="What is known about it", half=True, body=present.facts(facts)),
            timeline_card(obj),
        ]

    @admin.display(description="way back")
    def reversible(self, obj: Migration) -> SafeString:
        return present.badge("Reversible", "ok") if obj.revert_sql else present.badge("No way back", "warn")


def _applied_cells(applied: AppliedMigration | None, migration: Migration, database: ManagedDatabase) -> list[SafeString]:
    if applied is None:
        state = present.badge("Pending", "wait") if meant_for(migration, database) else present.badge("Not meant for it")
        return [state, present.NOTHING]
    if applied.checksum != migration.checksum:
        return [present.badge("Applied, but another SQL", "bad"), present.ago(applied.applied_at)]
    return [present.badge("Applied", "ok"), present.ago(applied.applied_at)]


def lint_card(migration: Migration) -> Card:
    """What can be said from the text alone; a plan on a database knows the sizes of its tables as well."""
    linted = lint(migration.sql, file=migration.version)
    rows = [[f.severity.value, f.line, f.message, f.lock, f.fix, f.rule] for f in linted.findings]
    rows += [["allowed", f.line, f.message, f.lock, f.reason, f.rule] for f in linted.allowed]
    tone = "warn" if any(f.dangerous for f in linted.findings) else ""
    return Card(title="What the lint says", note="From the text alone", tone=tone, body=findings_table(rows))


def proof_cards(migration: Migration) -> list[Card]:
    """For a repair: whether it was proven before it was registered."""
    if migration.proof is not None:
        if migration.proof["sha256"] != migration.checksum:
            words = "The SQL was changed after its repair was proven: the proof says nothing of it."
            return [Card(title="Proof", tone="warn", body=present.note(words, "warn"))]
        return [Card(title="Proof", tone="" if migration.proof["proven"] else "bad", body=proof_html(migration.proof))]
    if migration.repair is None:
        return []
    state = proof_state(migration.repair)
    words = {
        "running": "The proof is running. What comes of it is kept here.",
        "failed": f"The proof could not be tried: {migration.repair.job.error if migration.repair.job else ''}",
    }.get(state, "It was not tried on a scratch database before it was registered.")
    body = format_html(
        '{}<p><a href="{}">The repair as it was shown</a></p>', present.note(words, "warn"), review_url(migration.repair)
    )
    return [Card(title="Proof", tone="warn", body=body)]
