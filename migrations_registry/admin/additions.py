"""What this floor adds to the pages of the one below: databases run migrations, findings become them, promotions show them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, contribute_card
from controlplane.core.adminsite.decisions import Decision, DecisionForm, Done, contribute
from controlplane.core.adminsite.sql import sql_block
from environments.models import Finding, ManagedDatabase, Promotion
from migrations_registry.admin.base import LIMIT, REFUSALS, person
from migrations_registry.models import AppliedMigration, Category, Migration, MigrationRun
from migrations_registry.services.policy import RUN
from migrations_registry.services.registry import meant_for, register_migration
from migrations_registry.services.runs import start_run

Mode = MigrationRun.Mode


def _state(migration: Migration, database: ManagedDatabase, applied: bool) -> SafeString:
    if applied:
        return present.badge("Applied", "ok")
    return present.badge("Pending", "wait") if meant_for(migration, database) else present.badge("Not meant for it")


def database_card(request: HttpRequest, database: ManagedDatabase) -> Card | None:
    """For the page of a database: what was applied, what waits."""
    if not request.user.has_perm("migrations_registry.view_migration"):
        return None
    applied = dict(AppliedMigration.objects.filter(database=database).values_list("version", "applied_at"))
    known = Migration.objects.filter(application=database.environment.application_id).defer("revert_sql", "verify_sql")
    rows = [
        [present.link(m), m.category, _state(m, database, m.version in applied), present.ago(applied.get(m.version))]
        for m in known.order_by("-version")[:LIMIT]
    ]
    runs = format_html('<a href="{}">Overview</a>', reverse("admin:migrations_overview"))
    return Card(
        title="Migrations",
        note=runs,
        body=present.table(["Migration", "Category", "State", "When"], rows, label="Migrations", empty="None is registered."),
    )


def promotion_card(request: HttpRequest, promotion: Promotion) -> Card | None:
    """For the page of a promotion: the SQL that it would bring, and the way back of each."""
    if not promotion.release.migrations:
        return Card(title="Migrations", body=format_html('<p class="ek-quiet">{}</p>', "The release needs none."))
    rows = {
        m.version: m
        for m in Migration.objects.filter(application=promotion.release.application_id, version__in=promotion.release.migrations)
    }
    target = AppliedMigration.objects.filter(database__environment=promotion.target_id, version__in=promotion.release.migrations)
    applied = set(target.values_list("version", flat=True))
    new = [version for version in promotion.release.migrations if version not in applied]
    parts = [_promoted(version, rows.get(version), version in applied, is_open=False) for version in promotion.release.migrations]
    body = format_html_join("", "{}", ((part,) for part in parts))
    note = f"{len(new)} of {len(promotion.release.migrations)} are new there"
    return Card(title="Migrations", note=note, body=body, anchor="migrations")


def _promoted(version: str, migration: Migration | None, applied: bool, is_open: bool) -> SafeString:
    if migration is None:
        return present.note(f"{version} is not registered: it can't be shown and will not run.", "bad")
    state = present.badge("Applied", "ok") if applied else present.badge("New there", "wait")
    back = (
        sql_block(migration.revert_sql, label=f"Way back of {version}")
        if migration.revert_sql
        else present.note("No way back but forward.", "warn")
    )
    return format_html(
        '<details class="ek-gate"{}><summary><span>{}</span><strong>{}</strong><span class="ek-gate__age">{}</span></summary>'
        '<div class="ek-gate__body">{}<h3>Way back</h3>{}</div></details>',
        " open" if is_open else "",
        state,
        migration,
        migration.category,
        sql_block(migration.sql, label=f"SQL of {version}"),
        back,
    )


class FindingMigrationForm(DecisionForm):
    version = forms.CharField(max_length=120)
    name = forms.CharField(max_length=200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].initial = f"{timezone.now():%Y%m%d_%H%M}"
        self.fields["name"].initial = self.obj.title[:200]


def from_finding(request: HttpRequest, finding: Finding, data: dict[str, Any]) -> Done:
    # What only this environment has, compared with the source of truth, is mended here alone; a defect of the schema everywhere.
    header = f"-- environment: {finding.environment.name}\n\n" if finding.area == "cross" else ""
    migration = register_migration(
        application=finding.environment.application,
        version=data["version"],
        name=data["name"],
        sql=header + finding.fix_sql,
        revert_sql=header + finding.undo_sql if finding.undo_sql else "",
        category=Category.FIXES,
        actor=person(request),
        origin=f"finding {finding.pk}",
    )
    return Done(f"{migration} is registered. Nothing has run yet: validate it on the database's page.", migration)


def start(mode: str, words: str) -> Any:
    def run(request: HttpRequest, database: ManagedDatabase, data: dict[str, Any]) -> Done:
        job = start_run(
            database=database,
            mode=mode,
            actor=person(request),
            force_reason=data.get("reason", ""),
            rollback_version=data.get("version", ""),
        )
        return Done(f"{words} was queued as job #{job.pk}. This page follows it.", job)

    return run


class ApplyForm(DecisionForm):
    read = forms.BooleanField(label="I have read the dry run: run the pending migrations on this database")


class ForceForm(DecisionForm):
    reason = forms.CharField(label="What is the emergency", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))


class RollbackForm(DecisionForm):
    version = forms.ChoiceField(label="Migration")
    reason = forms.CharField(label="Reason", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"] = forms.ChoiceField(label="Migration", choices=[(v, v) for v in applied_versions(self.obj)])


def applied_versions(database: ManagedDatabase) -> list[str]:
    """Newest first: the last one applied is the first to take back."""
    rows = AppliedMigration.objects.filter(database=database).order_by("-applied_at", "-version")
    return list(rows.values_list("version", flat=True)[:LIMIT])


def is_protected(database: ManagedDatabase) -> bool:
    return database.environment.protected


ON_DATABASES = (
    Decision(
        name="validate", label="Validate migrations", permission=RUN, run=start(Mode.VALIDATE, "The validation"),
        refusals=REFUSALS,
        help="Compares what is registered with the ledger of the database. Changes nothing.",
    ),
    Decision(
        name="dry-run", label="Migrations: dry run", permission=RUN, run=start(Mode.DRY_RUN, "The dry run"), refusals=REFUSALS,
        help="Runs what is pending in a transaction and takes it back.",
    ),
    Decision(
        name="apply", label="Run pending migrations", permission=RUN, run=start(Mode.APPLY, "The run"), form=ApplyForm,
        style="danger",
        refusals=REFUSALS, folded=True, applies=lambda database: not is_protected(database),
    ),
    Decision(
        name="force", label="Run pending migrations without a promotion", permission=RUN, run=start(Mode.APPLY, "The run"),
        form=ForceForm, style="danger", refusals=REFUSALS, folded=True, applies=is_protected,
        help="A protected environment gets its migrations by promotion. In an emergency: your name and reason stay in the trail.",
    ),
    Decision(
        name="revert", label="Take a migration back", permission=RUN, run=start(Mode.ROLLBACK, "The rollback"), form=RollbackForm,
        style="danger", refusals=REFUSALS, folded=True, applies=lambda database: bool(applied_versions(database)),
        help="Runs the revert SQL of one migration. What its columns held is gone with them.",
    ),
)  # fmt: skip
for decision in ON_DATABASES:
    contribute("environments.manageddatabase", decision)
contribute(
    "environments.finding",
    Decision(
        name="make-migration", label="Make this a migration", permission="migrations_registry.add_migration", run=from_finding,
        form=FindingMigrationForm, refusals=REFUSALS,
        applies=lambda finding: bool(finding.fix_sql) and finding.state != "resolved",
        help="Registers the SQL above, with its undo, as a migration of the category FIXES. Nothing runs yet.",
    ),
)  # fmt: skip
contribute_card("environments.manageddatabase", database_card)
contribute_card("environments.promotion", promotion_card, evidence=True)
