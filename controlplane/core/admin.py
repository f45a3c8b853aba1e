"""Jobs, the audit trail, notifications and tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from controlplane.core import jobs, tokens
from controlplane.core.adminsite import accounts, present
from controlplane.core.adminsite.cards import Card, action_words, timeline_card
from controlplane.core.adminsite.decisions import Decision, Done
from controlplane.core.adminsite.making import MakingMixin
from controlplane.core.adminsite.navigation import Nav
from controlplane.core.adminsite.pages import EditAdmin, PageAdmin
from controlplane.core.models import (
    JOB_ENDED,
    ApiToken,
    AuditEvent,
    Job,
    JobState,
    Notification,
    NotificationChannel,
    NotificationDelivery,
)


def running(_: HttpRequest) -> int:
    return Job.objects.filter(state__in=[JobState.QUEUED, JobState.RUNNING]).count()


def cancel_job(request: HttpRequest, job: Job, data: dict[str, Any]) -> Done:
    if not jobs.cancel(job=job, actor=_person(request)):
        raise jobs.JobError("This job has ended meanwhile. There was nothing to cancel.")
    return Done("Canceled. A worker that has it stops at its next report; what it had committed is kept.")


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101  the admin lets nobody else in
    return request.user


@admin.register(Job)
class JobAdmin(PageAdmin):
    nav = Nav("System", 10, count=running)
    intro = "Every run of background work. The row is the truth: a lost message or worker loses nothing."
    empty_list = ("No job has run yet.", "Schedules and decisions make them.")
    list_display = ("what", "subject", "status", "person", "asked", "lasted", "doing")
    list_display_links = ("what",)
    list_filter = ("state", "kind", "created_at")
    list_select_related = ("actor",)
    search_fields = ("kind", "subject", "error")
    decisions = (
        Decision(
            name="cancel", label="Cancel the job", permission="core.change_job", run=cancel_job, style="danger", folded=True,
            help="A queued job never starts. A running one stops at its next report: what it has committed stays as it is.",
            applies=lambda job: not job.ended,
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        queryset = super().get_queryset(request)
        return queryset.defer("log", "result") if request.path.endswith("/job/") else queryset

    def heading(self, obj: Job) -> str:
        return _title(obj)

    def badges(self, obj: Job) -> list[SafeString]:
        return [present.state_badge(obj)]

    def lead(self, request: HttpRequest, obj: Job) -> SafeString:
        return format_html("{} · asked for by {} {}", obj.subject or "Everything", _who(obj), present.ago(obj.created_at))

    def unfinished(self, obj: Job) -> bool:
        return not obj.ended

    def evidence_cards(self, request: HttpRequest, obj: Job) -> list[Card]:
        silence = ""
        if obj.state == JobState.RUNNING and obj.heartbeat_at and timezone.now() - obj.heartbeat_at > jobs.LOST_AFTER:
            silence = present.note("Its worker has fallen silent. The sweeper retries or reports it within a minute.", "warn")
        facts = [
            ("Started", present.ago(obj.started_at)),
            ("Last heartbeat", present.ago(obj.heartbeat_at)),
            ("Ended", present.ago(obj.finished_at)),
            ("Took", present.took(obj.started_at, obj.finished_at) if obj.started_at else None),
            ("Attempt", obj.attempt),
            ("Planned for", present.when(obj.scheduled_for)),
        ]
        body = format_html(
            "{}{}{}{}",
            present.failure(obj.error),
            silence,
            present.progress(obj.progress, obj.progress_text),
            present.facts(facts),
        )
        return [Card(title="State", body=body)]

    def cards(self, request: HttpRequest, obj: Job) -> list[Card]:
        made = [Card(title="Log", body=present.log(obj.log))]
        if obj.result:
            made.append(Card(title="Result", body=present.shown(obj.result), half=bool(obj.params)))
        if obj.params:
            made.append(Card(title="Parameters", body=present.shown(obj.params), half=bool(obj.result)))
        return [*made, timeline_card(obj)]

    @admin.display(description="job", ordering="id")
    def what(self, obj: Job) -> str:
        return _title(obj)

    @admin.display(description="state", ordering="state")
    def status(self, obj: Job) -> SafeString:
        return present.state_badge(obj)

    @admin.display(description="by")
    def person(self, obj: Job) -> str:
        return _who(obj)

    @admin.display(description="asked for", ordering="created_at")
    def asked(self, obj: Job) -> SafeString:
        return present.ago(obj.created_at)

    @admin.display(description="took")
    def lasted(self, obj: Job) -> str:
        return present.took(obj.started_at, obj.finished_at) if obj.started_at else "—"

    @admin.display(description="progress")
    def doing(self, obj: Job) -> object:
        return present.NOTHING if obj.state in JOB_ENDED else f"{obj.progress} % {obj.progress_text}"


def _title(job: Job) -> str:
    kind = jobs.kinds().get(job.kind)
    return f"{kind.title if kind else job.kind} #{job.pk}"


def _who(job: Job) -> str:
    return job.actor.get_username() if job.actor else "system"


@admin.register(AuditEvent)
class AuditEventAdmin(PageAdmin):
    nav = Nav("System", 20, "Audit trail")
    intro = "Who did what. Rows can't be changed or removed: the database refuses it, and a chain of hashes would show it."
    list_display = ("summary_line", "actor_name", "subject_label", "moment")
    list_display_links = ("summary_line",)
    list_filter = ("subject_type", "at")
    search_fields = ("action", "actor_name", "subject_label")
    csv_columns = (
        ("id", "id"), ("at", "at"), ("actor", "actor_name"), ("action", "action"), ("subject type", "subject_type"),
        ("subject id", "subject_id"), ("subject", "subject_label"), ("summary", "summary"), ("hash", "hash"),
    )  # fmt: skip

    def heading(self, obj: AuditEvent) -> str:
        return action_words(obj.action)

    def lead(self, request: HttpRequest, obj: AuditEvent) -> SafeString:
        return format_html("{} · by {} · {}", obj.subject_label, obj.actor_name, present.when(obj.at))

    def cards(self, request: HttpRequest, obj: AuditEvent) -> list[Card]:
        facts = [
            ("Action", present.code(obj.action)), ("Subject", f"{obj.subject_type} #{obj.subject_id}"), ("In words", obj.summary),
            ("Hash", present.code(obj.hash, short=16)), ("Hash before", present.code(obj.previous_hash, short=16)),
        ]  # fmt: skip
        return [Card(title="Event", body=present.facts(facts)), Card(title="Data", body=present.shown(obj.data))]

    @admin.display(description="what", ordering="id")
    def summary_line(self, obj: AuditEvent) -> str:
        return action_words(obj.action)

    @admin.display(description="when", ordering="at")
    def moment(self, obj: AuditEvent) -> SafeString:
        return present.ago(obj.at)


@admin.register(Notification)
class NotificationAdmin(PageAdmin):
    nav = Nav("System", 30)
    intro = "What Evenkeel told people, and whether it arrived."
    list_display = ("title", "kind", "moment")
    list_filter = ("kind", "created_at")
    search_fields = ("title", "body")

    def cards(self, request: HttpRequest, obj: Notification) -> list[Card]:
        rows = [
            [d.channel.name, present.state_badge(d), d.attempts, present.ago(d.sent_at), d.error]
            for d in obj.deliveries.select_related("channel")
        ]
        link = format_html('<p><a href="{}">Open what it is about</a></p>', obj.link) if obj.link.startswith("/") else ""
        empty = "No channel wanted it. Channels are set under “Notification channels”."
        columns = ["Channel", "State", "Attempts", "Sent", "Error"]
        return [
            Card(
                title="Message", note=present.when(obj.created_at), body=format_html("<p>{}</p>{}", obj.body or obj.title, link)
            ),
            Card(title="Deliveries", body=present.table(columns, rows, label="Deliveries", empty=empty)),
        ]

    @admin.display(description="when", ordering="created_at")
    def moment(self, obj: Notification) -> SafeString:
        return present.ago(obj.created_at)


@admin.register(NotificationChannel)
class NotificationChannelAdmin(EditAdmin):
    nav = Nav("System", 40)
    intro = "Where notifications go. The address is a reference to a secret; the secret itself is never here."
    list_display = ("name", "url_ref", "enabled")
    list_filter = ("enabled",)

    def cards(self, request: HttpRequest, obj: NotificationChannel) -> list[Card]:
        newest = NotificationDelivery.objects.filter(channel=obj).select_related("notification").order_by("-id")[:15]
        rows = [[present.link(d.notification), present.state_badge(d), present.ago(d.sent_at), d.error] for d in newest]
        columns = ["Notification", "State", "Sent", "Error"]
        return [Card(title="Newest deliveries", body=present.table(columns, rows, label="Deliveries", empty="None yet."))]


admin.site.unregister((User, Group))  # Django's own pages, which leave no trace in the audit trail
admin.site.register(User, accounts.AccountAdmin)
admin.site.register(Group, accounts.AccountGroupAdmin)

ACCOUNT_HELP = "The token may what it may. Yourself, or an account without a password, as for CI."


class TokenForm(forms.Form):
    user = forms.ModelChoiceField(User.objects.filter(is_active=True), label="Account", help_text=ACCOUNT_HELP)
    name = forms.CharField(max_length=80, help_text="What it is for, as “CI of shop”.")
    expires_at = forms.DateTimeField(label="Expires at (UTC)", required=False, help_text="Empty: never.")


def revoke(request: HttpRequest, token: ApiToken, data: dict[str, Any]) -> Done:
    tokens.revoke_token(token=token, actor=_person(request))
    return Done("Revoked. The next request with it is refused.")


@admin.register(ApiToken)
class ApiTokenAdmin(MakingMixin, PageAdmin):
    nav = Nav("System", 50, "API tokens")
    intro = "Keys for CI and scripts. A token is shown once, when it is made; only its hash is kept."
    empty_list = ("No token yet.", "Make one for CI, so that it can record releases.")
    list_display = ("name", "user", "status", "used", "expires_at")
    list_select_related = ("user",)
    make_permission = "core.add_apitoken"
    make_form = TokenForm
    make_title = "Make an API token"
    make_label = "Make the token"
    refusals = (*PageAdmin.refusals, tokens.TokenError)
    decisions = (
        Decision(
            name="revoke", label="Revoke", permission="core.change_apitoken", run=revoke, style="danger",
            help="There is no way back: make a new one instead.", applies=lambda token: token.revoked_at is None,
        ),
    )  # fmt: skip

    def make(self, request: HttpRequest, data: dict[str, Any]) -> Done:
        row, token = tokens.make_token(
            user=data["user"], name=data["name"], expires_at=data["expires_at"], actor=_person(request)
        )
        return Done(f"The token “{row.name}” is made", row, secret=token)

    def badges(self, obj: ApiToken) -> list[SafeString]:
        return [self.status(obj)]

    def cards(self, request: HttpRequest, obj: ApiToken) -> list[Card]:
        facts = [
            ("Account", obj.user.get_username()), ("Made", present.when(obj.created_at)), ("Last used",
            present.when(obj.last_used_at)),
            ("Expires", present.when(obj.expires_at)), ("Revoked", present.when(obj.revoked_at)),
        ]  # fmt: skip
        return [Card(title="Token", body=present.facts(facts)), timeline_card(obj)]

    @admin.display(description="state")
    def status(self, obj: ApiToken) -> SafeString:
        if obj.revoked_at:
            return present.badge("Revoked", "bad")
        if obj.expires_at and obj.expires_at <= timezone.now():
            return present.badge("Expired", "warn")
        return present.badge("Valid", "ok")

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, obj: ApiToken) -> SafeString:
        return present.ago(obj.last_used_at)
