import json

import psycopg
import pytest
from django.core.management import CommandError, call_command

from environments.models import DiagnosisRun, Finding

pytestmark = pytest.mark.django_db


@pytest.fixture
def command(capsys):
    """``command("diagnose", …)`` -> (exit code, standard output)."""

    def run(*words):
        code: object = 0
        try:
            call_command(*words)
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().out

    return run


def test_a_target_needs_no_row_of_ours_and_leaves_none(make_database, target_reference, command):
    reference = target_reference(make_database("CREATE TABLE notes (body text)"))
    code, out = command("diagnose", "--target", reference, "--json")
    verdicts = json.loads(out)["verdicts"]
    failed = {(v["check"], v["object"]) for v in verdicts if v["verdict"] == "fail"}
    assert code == 2
    assert ("schema.no_primary_key", "main: public.notes") in failed
    keys = {"check", "verdict", "object", "severity", "evidence", "fix_sql", "undo_sql", "id", "reason", "cure"}
    assert all(keys <= verdict.keys() for verdict in verdicts)
    assert not DiagnosisRun.objects.exists()


def test_a_clean_target_exits_with_0_and_lists_what_is_ok(make_database, target_reference, command):
    reference = target_reference(make_database("CREATE TABLE notes (id int PRIMARY KEY)"))
    code, out = command("diagnose", "--target", reference, "--only", "schema.no_primary_key", "--json")
    assert (code, [v["verdict"] for v in json.loads(out)["verdicts"]]) == (0, ["ok"])


def test_the_exit_code_follows_the_severity(make_database, target_reference, command):
    reference = target_reference(make_database("CREATE TABLE notes (body text)"))
    words = ["diagnose", "--target", reference, "--only", "schema.no_primary_key"]
    assert command(*words, "--fail-on", "high")[0] == 0
    assert command(*words, "--fail-on", "medium")[0] == 2


def test_an_environment_keeps_its_findings(make_application, make_database, command):
    make_application({"staging": make_database("CREATE TABLE notes (body text)"), "production": make_database()})
    code, out = command("diagnose", "--environment", "shop/staging")
    assert code == 2
    assert "schema.no_primary_key  main: public.notes" in out
    assert Finding.objects.filter(check_id="schema.no_primary_key").count() == 1
    _, out = command("diagnose", "--environment", "shop/staging", "--only", "schema", "--json")
    assert DiagnosisRun.objects.count() == 1, "a partial look is not kept"


def test_the_id_of_a_verdict_is_that_of_its_finding(make_application, make_database, command):
    make_application({"staging": make_database("CREATE TABLE notes (body text)"), "production": make_database()})
    _, out = command("diagnose", "--environment", "shop/staging", "--json")
    ids = {v["id"] for v in json.loads(out)["verdicts"] if v["verdict"] == "fail"}
    assert ids == set(Finding.objects.values_list("fingerprint", flat=True))


def test_acknowledged_findings_stay_in_sarif_marked_and_do_not_count(make_application, make_database, command, cast):
    from datetime import timedelta

    from django.utils import timezone

    from environments.services.diagnosis import acknowledge

    make_application({"production": make_database("CREATE TABLE notes (body text)")})
    assert command("diagnose", "--environment", "shop/production")[0] == 2
    for finding in Finding.objects.all():
        acknowledge(finding=finding, actor=cast["bob"], reason="Accepted.", until=timezone.now() + timedelta(days=3))
    code, out = command("diagnose", "--environment", "shop/production", "--sarif")
    results = json.loads(out)["runs"][0]["results"]
    suppressed = [result for result in results if result.get("suppressions")]
    assert code == 0
    assert "schema.no_primary_key" in {result["ruleId"] for result in suppressed}
    assert all(result["partialFingerprints"]["evenkeel/v1"] for result in results)


def test_explain_and_list_describe_the_checks(command):
    assert "in any order" in command("diagnose", "--explain", "index.unindexed_fk")[1]
    assert "index.unindexed_fk" in command("diagnose", "--list")[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--environment", "shop/nowhere"], "There is no environment 'shop/nowhere'"),
        (["--target", "postgresql://user:secret@host/db"], "as a reference"),
        (["--target", "env:TARGET_NOT_SET"], "not set"),
        (["--target", "env:DATABASE_URL"], "Evenkeel's own keys"),
        (["--explain", "no.such"], "There is no check 'no.such'"),
        (["--target", "env:TARGET_X", "--only", "nonsense"], "There is no area or check 'nonsense'"),
        ([], "Say what to diagnose"),
    ],
)
def test_bad_input_gets_one_clear_error(words, says):
    with pytest.raises(CommandError, match=says) as error:
        call_command("diagnose", *words)
    assert "secret@host" not in str(error.value)


def test_an_unreachable_target_is_an_error_and_shows_no_address(target_reference):
    reference = target_reference("postgresql://app:hunter2@127.0.0.1:1/shop")
    with pytest.raises(CommandError, match="can't be reached") as error:
        call_command("diagnose", "--target", reference)
    assert "hunter2" not in str(error.value)


def test_a_wrong_password_is_named_as_such(make_database, target_reference):
    url = make_database().replace("postgres:@", "nobody_here:wrong@")
    with pytest.raises(CommandError, match="nobody_here"):
        call_command("diagnose", "--target", target_reference(url))


def test_a_database_that_vanishes_in_mid_run_is_a_clear_verdict(make_database, target_reference, postgres_server):
    from environments.diagnosis import context, engine
    from environments.diagnosis.registry import Check, Verdict

    url = make_database("CREATE TABLE notes (body text)")

    def drop(_):
        with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {psycopg.conninfo.conninfo_to_dict(url)['dbname']} WITH (FORCE)")
        yield from ()

    def reads(looked_at):
        with looked_at.databases[0].connect() as connection:
            connection.execute("SELECT 1")
        yield from ()

    checks = [
        Check("a.drop", "a", "Drops", "", drop),
        Check("b.reads", "b", "Reads", "", reads),
        Check("c.reads", "c", "Reads", "", reads),
    ]
    results = engine.evaluate(context.of_target(target_reference(url)), checks=checks)
    assert [result.verdict for result in results] == [Verdict.OK, Verdict.NOT_EVALUATED, Verdict.NOT_EVALUATED]
    assert "does not exist" in results[2].reason


def test_check_env_is_strict(make_application, command):
    from environments.models import Component, VariableRule

    application = make_application({"production": ""})
    assert command("check_env", "shop/production")[0] == 0
    Component.objects.create(
        environment=application.environments.get(), name="web", kind="backend", variables_ref="file:not-there.env"
    )
    VariableRule.objects.create(application=application, key="API_URL")
    code, out = command("check_env", "shop/production", "--json")
    assert code == 2
    assert {v["verdict"] for v in json.loads(out)["verdicts"]} == {"not_evaluated"}


def test_what_is_not_there_is_not_called_ok(make_database, target_reference, make_application, command):
    _, out = command("diagnose", "--target", target_reference(make_database()), "--json")
    verdicts = {v["check"]: v["verdict"] for v in json.loads(out)["verdicts"]}
    assert verdicts["env.missing_variable"] == verdicts["cross.row_disparity"] == "not_applicable"
    assert verdicts["schema.no_primary_key"] == verdicts["env.unreachable_database"] == "ok"
    make_application({"production": ""})
    _, out = command("diagnose", "--environment", "shop/production", "--json")
    verdicts = {v["check"]: v["verdict"] for v in json.loads(out)["verdicts"]}
    assert verdicts["schema.no_primary_key"] == verdicts["integrity.orphan_rows"] == "not_applicable"
    assert verdicts["env.missing_variable"] == "ok"
