"""The four groups and what each may do. Seeded, then the operators' own: what was added by hand stays."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission

VIEWER = "Viewer"
DEVELOPER = "Developer"
APPROVER = "Approver"
OPERATOR = "Operator"

#: Everything that can be looked at, without what concerns accounts.
VIEWED_APPS = ("core", "environments", "migrations_registry", "errors", "django_celery_beat")
HIDDEN_FROM_VIEWERS = ("view_apitoken", "view_notificationchannel")

GRANTS: dict[str, tuple[str, ...]] = {
    VIEWER: (),
    DEVELOPER: ("add_release", "request_promotion", "add_migration", "change_migration", "resolve_errorgroup", "run_diagnosis"),
    APPROVER: ("approve_promotion", "waive_gate", "acknowledge_finding", "accept_drift", "roll_back", "run_diagnosis"),
    OPERATOR: (
        "operate_promotion", "roll_back", "run_diagnosis", "run_backup", "run_sync", "run_cleanup", "run_migrations",
        "acknowledge_finding", "accept_drift", "resolve_errorgroup", "add_migration", "change_migration",
        "add_application", "change_application", "add_environment", "change_environment", "add_component", "change_component",
        "add_manageddatabase", "change_manageddatabase", "add_variablerule", "change_variablerule", "delete_variablerule",
        "add_maskingrule", "change_maskingrule", "delete_maskingrule", "add_syncplan", "change_syncplan", "delete_syncplan",
        "add_cleanuprule", "change_cleanuprule", "delete_cleanuprule", "change_job",
        "change_periodictask", "add_crontabschedule", "add_intervalschedule",
    ),
}  # fmt: skip


def seed_groups() -> None:
    """Creates the groups that are missing and adds the permissions that they lack; takes nothing away."""
    viewable = Permission.objects.filter(content_type__app_label__in=VIEWED_APPS, codename__startswith="view_")
    viewable = viewable.exclude(codename__in=HIDDEN_FROM_VIEWERS)
    for name, codenames in GRANTS.items():
        group, _ = Group.objects.get_or_create(name=name)
        granted = Permission.objects.filter(content_type__app_label__in=VIEWED_APPS, codename__in=codenames)
        group.permissions.add(*viewable, *granted)
