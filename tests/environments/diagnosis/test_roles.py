"""What the role of the diagnosis gets and sees; what a role that may do nothing is told."""

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg.conninfo import conninfo_to_dict

from environments.diagnosis.registry import Verdict

TABLE = "CREATE TABLE orders (id serial PRIMARY KEY, email text)"
ROWS = "INSERT INTO orders (email) SELECT 'p' || n || '@example.com' FROM generate_series(1, 50) n"


@pytest.fixture
def diagnosis_role(capsys):
    """``diagnosis_role(url, "--read-rows")`` runs the printed SQL and returns the URL for the role; dropped at the end."""
    made: list[tuple[str, str]] = []

    def make(url, *options):
        name = "look_only_" + str(len(made))
        call_command("diagnosis_role", "--sql", "--name", name, "--database", conninfo_to_dict(url)["dbname"], *options)
        printed = capsys.readouterr().out
        assert "pg_read_all_data" not in "".join(line.partition("--")[0] for line in printed.splitlines())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(printed)
        made.append((url, name))
        return url.replace("postgres:@", f"{name}:@", 1)

    yield make
    for url, name in made:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_the_role_can_look_and_cannot_write(make_database, diagnosis_role):
    url = diagnosis_role(make_database(TABLE, ROWS), "--read-rows")
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (50,)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("2s",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE mine (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT rolpassword FROM pg_authid")


def test_with_rows_everything_but_superusers_matters_is_judged(make_database, diagnosis_role, evaluate):
    url = diagnosis_role(make_database(TABLE, ROWS, "ANALYZE"), "--read-rows")
    results = evaluate(url)
    unseen = {result.check for result in results if result.verdict is Verdict.NOT_EVALUATED}
    assert unseen == {"performance.slow_query", "security.weak_password_hash"}
    assert all(result.expected for result in results if result.verdict is Verdict.NOT_EVALUATED)
    assert "main: public.orders.email" in {r.object for r in results if r.check == "constraint.natural_key_not_unique"}


def test_without_rows_the_checks_of_rows_say_what_they_lack(make_database, diagnosis_role, evaluate):
    url = diagnosis_role(make_database(TABLE, ROWS, "ANALYZE"))
    results = evaluate(url, "integrity.sequence_behind", "constraint.natural_key_not_unique", "schema.no_primary_key")
    verdicts = {result.check: result.verdict for result in results}
    assert verdicts == {
        "integrity.sequence_behind": Verdict.NOT_EVALUATED,
        "constraint.natural_key_not_unique": Verdict.NOT_EVALUATED,
        "schema.no_primary_key": Verdict.OK,
    }
    assert all("GRANT SELECT ON public.orders TO" in r.cure for r in results if r.verdict is Verdict.NOT_EVALUATED)


def test_the_cure_that_is_named_cures(make_database, make_role, evaluate):
    owner = make_database(TABLE, ROWS, "ANALYZE")
    url = make_role(owner)
    for _ in range(4):
        lacking = [r for r in evaluate(url) if r.verdict is Verdict.NOT_EVALUATED and "GRANT" in r.cure]
        if not lacking:
            break
        with psycopg.connect(owner, autocommit=True) as connection:
            for cure in {result.cure for result in lacking}:
                connection.execute(cure)
    assert lacking == []


def test_md5_passwords_are_found_by_a_superuser_and_unknown_to_others(make_database, make_role, evaluate):
    owner = make_database()
    url = make_role(owner)
    name = conninfo_to_dict(url)["user"]
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {name} PASSWORD 'md5{'0' * 32}'")
    check = "security.weak_password_hash"
    assert f"main: role {name}" in {r.object for r in evaluate(owner, check) if r.verdict is Verdict.FAIL}
    assert [r.verdict for r in evaluate(url, check)] == [Verdict.NOT_EVALUATED]


@pytest.mark.parametrize("words", [["--name", "pg_look"], ["--name", ""], ["--name", "x" * 64], ["--schema", "y" * 80]])
def test_names_that_cannot_be_are_refused(words):
    with pytest.raises(CommandError):
        call_command("diagnosis_role", "--database", "shop", *words)
