"""Migrations: what there is, where it was applied, every run with its log, and how findings become migrations."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from controlplane.core.adminsite import present
from controlplane.core.adminsite.cards import Card, contribute_card, timeline_card
from controlplane.core.adminsite.decisions import Decision, DecisionForm, Done, contribute
from controlplane.core.adminsite.making import MakingMixin
from controlplane.core.adminsite.navigation import Nav, Page
from controlplane.core.adminsite.pages import PageAdmin
from controlplane.core.adminsite.sql import sql_block
from controlplane.core.secretrefs import SecretReferenceError
from environments.models import Application, Finding, ManagedDatabase, Promotion
from environments.services.errors import ServiceError
from environments.targets import TargetError
from migrations_registry.models import AppliedMigration, Category, Migration, MigrationRun

REFUSALS: tuple[type[Exception], ...] = (ServiceError, TargetError, SecretReferenceError)
#: A page shows no more migrations of one application than this; the list has them all.
LIMIT = 60


class MigrationPage(PageAdmin):
    refusals = (*PageAdmin.refusals, *REFUSALS)


def person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


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
    page_select_related = ("application", "created_by")
    search_fields = ("version", "name", "sql")
    ordering = ("application", "-version")
    make_permission = "migrations_registry.add_migration"
    make_form = MigrationForm
    make_title = "Register a migration"
    make_label = "Register the migration"

    def make(self, request: HttpRequest, data: dict[str, Any]) -> Done:
        from migrations_registry.services.registry import register_migration

        given = {name: data[name] for name in ("application", "version", "name", "category", "sql", "revert_sql", "verify_sql")}
        migration = register_migration(**given, requires=tuple(data["requires"].split()), actor=person(request), origin="admin")
        return Done(f"{migration} is registered. Nothing has run yet.", migration)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("verify_sql")

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
        return made

    def cards(self, request: HttpRequest, obj: Migration) -> list[Card]:
        applied = {
            a.database_id: a
            for a in AppliedMigration.objects.filter(version=obj.version, database__environment__application=obj.application_id)
        }
        databases = ManagedDatabase.objects.filter(environment__application=obj.application_id)
        rows = [
            [present.link(d), *_applied_cells(applied.get(d.pk), obj)]
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
                body=present.table(["Database", "State", "When"], rows, label="Databases", empty="The application has no database."),
            ),
            Card(title="What is known about it", half=True, body=present.facts(facts)),
            timeline_card(obj),
        ]

    @admin.display(description="way back")
    def reversible(self, obj: Migration) -> SafeString:
        return present.badge("Reversible", "ok") if obj.revert_sql else present.badge("No way back", "warn")


def _applied_cells(applied: AppliedMigration | None, migration: Migration) -> list[SafeString]:
    if applied is None:
        return [present.badge("Pending", "wait"), present.NOTHING]
    if applied.checksum != migration.checksum:
        return [present.badge("Applied, but another SQL", "bad"), present.ago(applied.applied_at)]
    return [present.badge("Applied", "ok"), present.ago(applied.applied_at)]


@admin.register(MigrationRun)
class MigrationRunAdmin(MigrationPage):
    nav = Nav("Migrations", 30, "Runs")
    intro = "Every call of the runner, with its full log. The ledger on each database is the truth."
    empty_list = ("No run yet.", "Promotions run migrations; a database's page can validate and try them.")
    list_display = ("title", "mode", "status", "person", "when")
    list_display_links = ("title",)
    list_filter = ("state", "mode", "started_at")
    list_select_related = ("database__environment__application", "actor")
    page_select_related = (*list_select_related, "promotion__release__application", "promotion__target", "job")

    def heading(self, obj: MigrationRun) -> str:
        return f"{obj.get_mode_display()} on {obj.database}"

    def badges(self, obj: MigrationRun) -> list[SafeString]:
        forced = [present.badge("Forced", "warn")] if obj.force_reason else []
        return [present.state_badge(obj), *forced]

    def unfinished(self, obj: MigrationRun) -> bool:
        return obj.state == MigrationRun.State.RUNNING

    def cards(self, request: HttpRequest, obj: MigrationRun) -> list[Card]:
        results = {r.get("version"): r for r in obj.results if isinstance(r, dict)}
        rows = [_run_row(step, results.get(step.get("version"), {})) for step in obj.plan if isinstance(step, dict)]
        facts = [
            ("Database", present.link(obj.database)), ("By", _who(obj)), ("Promotion", present.link(obj.promotion)),
            ("Job", present.link(obj.job)), ("Began", present.when(obj.started_at)),
            ("Took", present.took(obj.started_at, obj.finished_at)), ("Forced because", obj.force_reason),
        ]  # fmt: skip
        columns = ["Version", "Name", "Category", "State", "Time", "Error"]
        return [
            Card(title="Run", body=format_html("{}{}", present.failure(obj.error), present.facts(facts))),
            Card(title="Migrations", body=present.table(columns, rows, label="Migrations", empty="Nothing was to be done.")),
            Card(title="Log", body=present.log(obj.log)),
            timeline_card(obj),
        ]

    @admin.display(description="run", ordering="id")
    def title(self, obj: MigrationRun) -> str:
        return str(obj.database)

    @admin.display(description="state", ordering="state")
    def status(self, obj: MigrationRun) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="by")
    def person(self, obj: MigrationRun) -> str:
        return _who(obj)

    @admin.display(description="run", ordering="started_at")
    def when(self, obj: MigrationRun) -> SafeString:
        return format_html("{} · took {}", present.ago(obj.started_at), present.took(obj.started_at, obj.finished_at))


def _who(run: MigrationRun) -> str:
    return run.actor.get_username() if run.actor else "system"


def _run_row(step: dict[str, Any], result: dict[str, Any]) -> list[object]:
    state = str(result.get("state", "pending"))
    seconds = result.get("seconds")
    took = present.span(float(seconds)) if isinstance(seconds, int | float) else None
    return [step.get("version"), step.get("name"), step.get("category"), present.badge(state, present.tone_of(state)), took, result.get("error")]


def overview(request: HttpRequest) -> HttpResponse:
    """/admin/migrations/: migrations x databases of every application, and the newest runs. A fixed number of queries."""
    migrations = list(Migration.objects.select_related("application").defer("sql", "revert_sql", "verify_sql").order_by("-version"))
    databases = list(ManagedDatabase.objects.select_related("environment__application").order_by("environment__order", "name"))
    applied = {
        (database, version): (checksum, at)
        for database, version, checksum, at in AppliedMigration.objects.values_list("database_id", "version", "checksum", "applied_at")
    }
    cards = [
        _matrix(application, [m for m in migrations if m.application_id == application.pk], databases, applied)
        for application in Application.objects.all()
    ]
    runs = MigrationRun.objects.select_related("database__environment__application", "actor").defer("log", "plan", "results")[:15]
    rows = [[present.link(r, str(r.database)), r.get_mode_display(), present.state_badge(r), _who(r), present.ago(r.started_at)] for r in runs]
    newest = present.table(["Database", "Mode", "State", "By", "When"], rows, label="Newest runs", empty="No run yet.")
    more = format_html('<a href="{}">All migrations</a> · <a href="{}">All runs</a>', present.list_url(Migration), present.list_url(MigrationRun))
    context = {
        **admin.site.each_context(request),
        "title": "Migrations",
        "heading": "Migrations",
        "lead": "Which migration was applied to which database.",
        "opts": Migration._meta,
        "cards": [*cards, Card(title="Newest runs", note=more, body=newest)],
    }
    return TemplateResponse(request, "admin/evenkeel/page.html", context)


def _matrix(application: Application, migrations: list[Migration], databases: list[ManagedDatabase], applied: dict[Any, Any]) -> Card:
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
            pending += found is None
            if found is None:
                cells.append(present.badge("Pending", "wait"))
            elif found[0] != migration.checksum:
                cells.append(present.badge("Another SQL", "bad"))
            else:
                cells.append(format_html("{} {}", present.badge("Applied", "ok"), present.ago(found[1])))
        rows.append(cells)
    columns = ["Migration", "Category", *(f"{d.environment.name}:{d.name}" for d in own)]
    note = f"{len(migrations)} migrations, {pending} pending in all" + (f"; the newest {LIMIT} are shown" if len(migrations) > LIMIT else "")
    return Card(title=application.name, note=note, body=present.table(columns, rows, label=f"Migrations of {application.name}"))


def database_card(request: HttpRequest, database: ManagedDatabase) -> Card | None:
    """For the page of a database: what was applied, what waits."""
    if not request.user.has_perm("migrations_registry.view_migration"):
        return None
    applied = dict(AppliedMigration.objects.filter(database=database).values_list("version", "applied_at"))
    known = Migration.objects.filter(application=database.environment.application_id).defer("sql", "revert_sql", "verify_sql")
    rows = [
        [present.link(m), m.category, present.badge("Applied", "ok") if m.version in applied else present.badge("Pending", "wait"),
         present.ago(applied.get(m.version))]
        for m in known.order_by("-version")[:LIMIT]
    ]  # fmt: skip
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
    body = format_html_join("", "{}", ((_promoted(version, rows.get(version), version in applied),) for version in promotion.release.migrations))
    new = [version for version in promotion.release.migrations if version not in applied]
    note = f"{len(new)} of {len(promotion.release.migrations)} are new there"
    return Card(title="Migrations", note=note, body=body, anchor="migrations")


def _promoted(version: str, migration: Migration | None, applied: bool) -> SafeString:
    if migration is None:
        return present.note(f"{version} is not registered: it can't be shown and will not run.", "bad")
    state = present.badge("Applied", "ok") if applied else present.badge("New there", "wait")
    back = sql_block(migration.revert_sql, label=f"Way back of {version}") if migration.revert_sql else present.note("No way back but forward.", "warn")
    return format_html(
        '<details class="ek-gate"{}><summary><span>{}</span><strong>{}</strong><span class="ek-gate__age">{}</span></summary>'
        '<div class="ek-gate__body">{}<h3>Way back</h3>{}</div></details>',
        "" if applied else " open",
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
    from migrations_registry.services.registry import register_migration

    migration = register_migration(
        application=finding.environment.application,
        version=data["version"],
        name=data["name"],
        sql=finding.fix_sql,
        revert_sql=finding.undo_sql,
        category=Category.FIXES,
        actor=person(request),
        origin=f"finding {finding.pk}",
    )
    return Done(f"{migration} is registered. Nothing has run yet: validate it on the database's page.", migration)


def start(mode: str, words: str) -> Any:
    def run(request: HttpRequest, database: ManagedDatabase, data: dict[str, Any]) -> Done:
        from migrations_registry.services.runs import start_run

        job = start_run(database=database, mode=mode, actor=person(request))
        return Done(f"{words} was queued as job #{job.pk}. This page follows it.", job)

    return run


class ApplyForm(DecisionForm):
    read = forms.BooleanField(label="I have read the dry run: run the pending migrations on this database")


def protected(_: HttpRequest, database: ManagedDatabase) -> str:
    return "A protected environment gets its migrations by promotion." if database.environment.protected else ""


RUN = "migrations_registry.run_migrations"
for decision in (
    Decision(name="validate", label="Validate migrations", permission=RUN, run=start("validate", "The validation"), refusals=REFUSALS,
             help="Reads ledger and files, compares checksums. Changes nothing."),
    Decision(name="dry-run", label="Migrations: dry run", permission=RUN, run=start("dry-run", "The dry run"), refusals=REFUSALS,
             help="Runs what is pending in a transaction and takes it back."),
    Decision(name="apply", label="Run pending migrations", permission=RUN, run=start("apply", "The run"), form=ApplyForm, style="danger",
             refusals=REFUSALS, folded=True, why_not=protected, help="Outside a promotion: only where the environment is not protected."),
):  # fmt: skip
    contribute("environments.manageddatabase", decision)
contribute(
    "environments.finding",
    Decision(
        name="make-migration", label="Make this a migration", permission="migrations_registry.add_migration", run=from_finding,
        form=FindingMigrationForm, refusals=REFUSALS, applies=lambda finding: bool(finding.fix_sql) and finding.state != "resolved",
        help="Registers the SQL above, with its undo, as a migration of the category FIXES. Nothing runs yet.",
    ),
)  # fmt: skip
contribute_card("environments.manageddatabase", database_card)
contribute_card("environments.promotion", promotion_card, evidence=True)
admin.site.register_page(  # type: ignore[attr-defined]
    Page("migrations/", "migrations_overview", "Overview", overview, Nav("Migrations", 10), "migrations_registry.view_migration")
)
