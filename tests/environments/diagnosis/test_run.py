"""A run of the diagnosis over two environments on real databases, and what becomes of its findings."""

from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import AuditEvent, Notification
from environments.models import DiagnosisRun, Finding
from environments.services import diagnosis
from environments.services.errors import Conflict, NotAllowed, ServiceError

pytestmark = pytest.mark.django_db

SESSIONS = "CREATE TABLE sessions (id int PRIMARY KEY, title text NOT NULL)"


def rows(count):
    return f"INSERT INTO sessions SELECT n, 'Session ' || n FROM generate_series(1, {count}) n"


@pytest.fixture
def two(make_application, make_database):
    """Staging with 9 of production's 22 sessions, as in the ibam system."""
    urls = {"staging": make_database(SESSIONS, rows(9)), "production": make_database(SESSIONS, rows(22))}
    application = make_application(urls, parity_tables=["sessions"])
    return application, urls


def finding(environment, check):
    return Finding.objects.get(environment=environment, check_id=check)


def run_sql(url, *statements):
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_missing_rows_are_counted_by_key(two):
    application, _ = two
    staging = application.environments.get(name="staging")
    run = diagnosis.run_diagnosis(environment=staging)
    found = finding(staging, "cross.row_disparity")
    assert (found.evidence["missing"], found.evidence["extra"]) == (13, 0)
    assert found.evidence["missing_keys"] == ["10", "11", "12", "13", "14"]
    assert found.object == "main: public.sessions"
    assert run.counts["new"] >= 1
    assert run.state == DiagnosisRun.State.COMPLETE, run.not_seen
    assert Notification.objects.filter(dedupe_key=f"diagnosis-{run.pk}", body__contains="13 missing").exists()


def test_the_source_of_truth_is_not_compared_with_itself(two):
    application, _ = two
    production = application.environments.get(name="production")
    diagnosis.run_diagnosis(environment=production)
    assert not Finding.objects.filter(environment=production, check_id="cross.row_disparity").exists()


def test_a_finding_is_resolved_when_it_is_mended_and_reopened_when_it_returns(two):
    application, urls = two
    staging = application.environments.get(name="staging")
    diagnosis.run_diagnosis(environment=staging)
    first = finding(staging, "cross.row_disparity")
    run_sql(urls["staging"], "INSERT INTO sessions SELECT n, 'x' FROM generate_series(10, 22) n")
    mended = diagnosis.run_diagnosis(environment=staging)
    first.refresh_from_db()
    assert (first.state, mended.counts["resolved"]) == ("resolved", 1)
    run_sql(urls["staging"], "DELETE FROM sessions WHERE id = 1")
    again = diagnosis.run_diagnosis(environment=staging)
    first.refresh_from_db()
    assert (first.state, first.times_reopened, again.counts["reopened"]) == ("open", 1, 1)
    actions = AuditEvent.objects.filter(subject_type="environments.finding", subject_id=str(first.pk)).order_by("id")
    assert [event.action for event in actions] == ["finding.new", "finding.resolved", "finding.reopened"]


def test_an_old_report_says_for_ever_what_it_found(two):
    application, urls = two
    staging = application.environments.get(name="staging")
    first = diagnosis.run_diagnosis(environment=staging)
    run_sql(urls["staging"], "INSERT INTO sessions SELECT n, 'Session ' || n FROM generate_series(10, 22) n")
    second = diagnosis.run_diagnosis(environment=staging)
    for run in (first, second):
        run.refresh_from_db()
    assert "cross.row_disparity" in {line["check"] for line in first.found}
    assert "cross.row_disparity" not in {line["check"] for line in second.found}


def test_a_second_run_that_finds_the_same_says_nothing(two):
    application, _ = two
    staging = application.environments.get(name="staging")
    diagnosis.run_diagnosis(environment=staging)
    second = diagnosis.run_diagnosis(environment=staging)
    assert (second.counts["new"], second.counts["resolved"]) == (0, 0)
    assert not Notification.objects.filter(dedupe_key=f"diagnosis-{second.pk}").exists()


def test_an_unreachable_database_is_a_finding_and_resolves_nothing(two, monkeypatch):
    application, urls = two
    staging = application.environments.get(name="staging")
    diagnosis.run_diagnosis(environment=staging)
    database = staging.databases.get()
    monkeypatch.setenv(database.dsn_ref.removeprefix("env:"), "postgresql://nobody:wrong@127.0.0.1:1/none")
    run = diagnosis.run_diagnosis(environment=staging)
    assert finding(staging, "env.unreachable_database").severity == "high"
    assert finding(staging, "cross.row_disparity").state == "open"
    assert (run.state, run.counts["resolved"]) == (DiagnosisRun.State.PARTIAL, 0)
    assert run.not_seen[0]["object"] == "main"
    monkeypatch.setenv(database.dsn_ref.removeprefix("env:"), urls["staging"])
    diagnosis.run_diagnosis(environment=staging)
    assert finding(staging, "env.unreachable_database").state == "resolved"


def test_a_check_that_raises_is_reported_and_the_others_go_on(two, monkeypatch):
    from environments.diagnosis import registry

    application, _ = two
    staging = application.environments.get(name="staging")

    def broken(_):
        raise KeyError("planted")
        yield

    monkeypatch.setitem(registry._checks, "schema.planted", registry.Check("schema.planted", "schema", "Planted", "Test", broken))
    run = diagnosis.run_diagnosis(environment=staging)
    assert [row["reason"] for row in run.not_seen if row["check"] == "schema.planted"] == [
        "The check itself failed: KeyError: 'planted'"
    ]
    assert finding(staging, "cross.row_disparity").state == "open"


def test_two_runs_of_one_environment_at_once_are_refused(two):
    from django.db import connections

    from controlplane.core import locks

    application, _ = two
    staging = application.environments.get(name="staging")
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            key = locks.lock_key(f"diagnosis:{staging.pk}")
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [locks.NAMESPACE, key])
        with pytest.raises(Conflict, match="is being diagnosed already"):
            diagnosis.run_diagnosis(environment=staging)
    finally:
        other.close()
    assert not DiagnosisRun.objects.exists()


def test_a_run_that_a_killed_worker_left_is_closed_by_the_next(two):
    application, _ = two
    staging = application.environments.get(name="staging")
    left = DiagnosisRun.objects.create(environment=staging)
    diagnosis.run_diagnosis(environment=staging)
    left.refresh_from_db()
    assert (left.state, left.finished_at is not None) == (DiagnosisRun.State.FAILED, True)


def test_bob_acknowledges_until_a_date_and_it_opens_again_at_that_date(two, cast, time_machine_at):
    application, _ = two
    staging = application.environments.get(name="staging")
    diagnosis.run_diagnosis(environment=staging)
    found = finding(staging, "cross.row_disparity")
    until = timezone.now() + timedelta(days=30)
    diagnosis.acknowledge(finding=found, actor=cast["bob"], reason="The rest comes with the next sync.", until=until)
    assert found.state == "acknowledged"
    muted = diagnosis.run_diagnosis(environment=staging)
    found.refresh_from_db()
    assert (found.state, muted.counts["acknowledged"]) == ("acknowledged", 1)
    with time_machine_at(until + timedelta(hours=1)):
        run = diagnosis.run_diagnosis(environment=staging)
    found.refresh_from_db()
    assert found.state == "open"
    assert Notification.objects.filter(dedupe_key=f"diagnosis-{run.pk}", title__contains="1 reopened").exists()


def test_an_acknowledgement_needs_right_reason_and_date(two, cast):
    application, _ = two
    staging = application.environments.get(name="staging")
    diagnosis.run_diagnosis(environment=staging)
    found = finding(staging, "cross.row_disparity")
    soon = timezone.now() + timedelta(days=1)
    for name in ("carol", "mallory", "alice"):
        with pytest.raises(NotAllowed):
            diagnosis.acknowledge(finding=found, actor=cast[name], reason="No right to.", until=soon)
    for reason, until in (("", soon), ("x", timezone.now() - timedelta(days=1)), ("x", timezone.now() + timedelta(days=181))):
        with pytest.raises(ServiceError):
            diagnosis.acknowledge(finding=found, actor=cast["bob"], reason=reason, until=until)
    found.refresh_from_db()
    assert found.state == "open"


def test_high_findings_block_until_they_are_acknowledged(two, cast, monkeypatch):
    application, _ = two
    staging = application.environments.get(name="staging")
    monkeypatch.delenv(staging.databases.get().dsn_ref.removeprefix("env:"))
    diagnosis.run_diagnosis(environment=staging)
    blocking = diagnosis.blocking_findings(staging)
    assert [found.check_id for found in blocking] == ["env.unreachable_database"]
    until = timezone.now() + timedelta(days=1)
    diagnosis.acknowledge(finding=blocking[0], actor=cast["bob"], reason="It is being moved.", until=until)
    assert not diagnosis.blocking_findings(staging)


@pytest.mark.django_db(transaction=True)
def test_the_job_runs_for_every_environment_and_mallory_may_not_start_it(two, cast):
    application, _ = two
    staging = application.environments.get(name="staging")
    with pytest.raises(NotAllowed):
        diagnosis.start_diagnosis(environment=staging, actor=cast["mallory"])
    subjects = jobs.kinds()["diagnosis.run"].subjects
    assert subjects is not None
    assert [subject for subject, _ in subjects()] == ["shop/staging", "shop/production"]
    job = diagnosis.start_diagnosis(environment=staging, actor=cast["alice"])
    assert jobs.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.result["state"]) == ("succeeded", "complete"), job.error or job.log
    assert DiagnosisRun.objects.get().job == job


def test_both_environments_on_one_database_are_found(make_application, make_database):
    url = make_database(SESSIONS)
    application = make_application({"staging": url, "production": url.replace("?", "?connect_timeout=9&")})
    staging = application.environments.get(name="staging")
    diagnosis.run_diagnosis(environment=staging)
    assert finding(staging, "cross.same_database").severity == "critical"


def test_rows_that_row_security_hides_are_never_counted_as_missing(make_application, make_database, make_role):
    policy = ["ALTER TABLE sessions ENABLE ROW LEVEL SECURITY", "GRANT SELECT ON sessions TO PUBLIC"]
    staging_url = make_database(SESSIONS, rows(9), *policy)
    urls = {"staging": make_role(staging_url), "production": make_database(SESSIONS, rows(9))}
    application = make_application(urls, parity_tables=["public.sessions"])
    staging = application.environments.get(name="staging")
    run = diagnosis.run_diagnosis(environment=staging)
    assert not Finding.objects.filter(check_id="cross.row_disparity").exists()
    unseen = [row for row in run.not_seen if "cross.row_disparity" in row["check"]]
    assert "Row security hides" in unseen[0]["reason"]
    assert "BYPASSRLS" in unseen[0]["cure"]


def test_a_night_without_diagnosis_is_said_once_a_day(two):
    application, _ = two
    staging, production = (application.environments.get(name=name) for name in ("staging", "production"))
    diagnosis.run_diagnosis(environment=staging)
    assert diagnosis.report_missed() == [production]
    assert diagnosis.report_missed() == [production]
    assert Notification.objects.filter(kind="diagnosis.missed").count() == 1
    late = timezone.now() + timedelta(hours=28)
    assert diagnosis.report_missed(now=late) == [staging, production]
    assert Notification.objects.filter(kind="diagnosis.missed", title="shop/staging was not diagnosed").count() == 1


def test_the_nightly_runs_are_seeded_and_a_slot_is_filled_once(two):
    from controlplane.core import schedules

    schedules.seed()
    first = schedules.enqueue_due("nightly-diagnosis")
    second = schedules.enqueue_due("nightly-diagnosis")
    assert (sorted(job.subject for job in first), second) == (["shop/production", "shop/staging"], [])
    assert first[0].scheduled_for.hour == 2


def test_a_run_waits_while_something_changes_the_environment(two):
    from controlplane.core.models import Job

    application, _ = two
    staging = application.environments.get(name="staging")
    now = timezone.now()
    busy = Job.objects.create(
        kind="migrations.run", subject="shop/staging", scheduled_for=now, state="running", started_at=now, heartbeat_at=now
    )
    assert diagnosis.changing_job(staging) == busy
    assert diagnosis.changing_job(application.environments.get(name="production")) is None


def test_drift_that_a_lock_hides_is_not_resolved(make_application, make_database):
    urls = {
        "staging": make_database(SESSIONS),
        "production": make_database(SESSIONS, "ALTER TABLE sessions ADD COLUMN extra int"),
    }
    staging = make_application(urls).environments.get(name="staging")
    diagnosis.run_diagnosis(environment=staging)
    assert finding(staging, "cross.schema_drift").state == "open"
    with psycopg.connect(urls["staging"]) as holder:
        holder.execute("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        run = diagnosis.run_diagnosis(environment=staging)
        holder.rollback()
    assert finding(staging, "cross.schema_drift").state == "open"
    assert run.state == DiagnosisRun.State.PARTIAL
    run_sql(urls["staging"], "ALTER TABLE sessions ADD COLUMN extra int")
    diagnosis.run_diagnosis(environment=staging)
    assert finding(staging, "cross.schema_drift").state == "resolved"
