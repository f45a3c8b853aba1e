"""The environment contract: what is wrong is named by key, and no value is ever shown."""

import json

import pytest

from environments.diagnosis.registry import Verdict
from environments.services import variables
from environments.services.variables import check_contract

SECRET = "s3cr3t-of-the-shop-0123456789"
STAGING_DSN = "postgresql://app:pw-staging@db.staging.example.com:5432/shop_staging?sslmode=require"
PRODUCTION_DSN = "postgresql://app:pw-production@db.production.example.com:5432/shop?sslmode=require"
PER_ENVIRONMENT = {"staging": "staging", "production": "production"}


def test_a_clean_contract_has_no_failure_and_says_ok(shop, failed):
    rules = [{"key": "DATABASE_URL", "kind": "postgres", "require_tls": True, "per_environment": PER_ENVIRONMENT}]
    application = shop(
        staging=f"DATABASE_URL={STAGING_DSN}\nSESSION_SECRET={SECRET}a",
        production=f"DATABASE_URL={PRODUCTION_DSN}\nSESSION_SECRET={SECRET}b",
        rules=rules,
    )  # fmt: skip
    for name in ("staging", "production"):
        assert failed(application, name) == {}
        verdicts = {result.verdict for result in check_contract(application.environments.get(name=name))}
        assert verdicts == {Verdict.OK}


@pytest.mark.parametrize("text", ["OTHER=1", "API_URL=", "API_URL=''", "# API_URL=https://x"])
def test_a_missing_or_empty_required_variable_is_found(shop, failed, text):
    application = shop(
        staging=text, production="API_URL=https://api.example.com\nOTHER=1", rules=[{"key": "API_URL", "kind": "url"}]
    )
    assert failed(application, "staging")["env.missing_variable web: API_URL"] == "high"


def test_an_optional_variable_is_not_missed(shop, failed):
    application = shop(staging="A=1", production="A=2", rules=[{"key": "B", "required": False}])
    assert failed(application, "staging") == {}


def test_a_variable_that_only_production_has_is_mentioned(shop, failed):
    assert failed(shop(staging="A=1", production="A=2\nNEW_FLAG=on"), "staging") == {"env.missing_variable web: NEW_FLAG": "low"}


def test_staging_that_names_production_s_marker_is_critical(shop, failed):
    rules = [{"key": "DATABASE_URL", "kind": "postgres", "per_environment": PER_ENVIRONMENT}]
    application = shop(staging=f"DATABASE_URL={PRODUCTION_DSN}", production=f"DATABASE_URL={PRODUCTION_DSN}", rules=rules)
    assert failed(application, "staging")["env.wrong_database web: DATABASE_URL"] == "critical"
    assert "env.wrong_database web: DATABASE_URL" not in failed(application, "production")


def test_staging_that_leads_to_production_s_database_is_found_without_any_rule(shop, failed, target_reference):
    from environments.models import ManagedDatabase

    application = shop(staging=f"DATABASE_URL={PRODUCTION_DSN}&application_name=x", production="A=1")
    production = application.environments.get(name="production")
    ManagedDatabase.objects.create(environment=production, dsn_ref=target_reference(PRODUCTION_DSN.replace("app:", "reader:")))
    assert failed(application, "staging")["env.wrong_database web: DATABASE_URL"] == "critical"


def test_a_project_s_name_of_another_environment_in_a_value_is_found(shop, failed):
    application = shop(
        staging="API_URL=https://shop-production.vercel.app/api", production="API_URL=https://shop-production.vercel.app/api"
    )
    assert failed(application, "staging")["env.wrong_database web: API_URL"] == "critical"
    assert failed(application, "production") == {}


def test_a_public_service_that_both_use_is_no_crossing(shop, failed):
    text = "STRIPE_API=https://api.stripe.com/v1\nSENTRY_HOST=sentry.example.com"
    assert failed(shop(staging=text, production=text), "staging") == {}


@pytest.mark.parametrize("mode", ["", "?sslmode=prefer", "?sslmode=disable", "?sslmode=allow"])
def test_a_connection_without_enforced_tls_is_found(shop, failed, mode):
    rules = [{"key": "DATABASE_URL", "kind": "postgres", "require_tls": True}]
    text = f"DATABASE_URL=postgresql://app:pw@db.staging.example.com/shop{mode}"
    assert failed(shop(staging=text, production="DATABASE_URL=" + PRODUCTION_DSN, rules=rules), "staging") == {
        "env.sslmode web: DATABASE_URL": "high"
    }


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_stricter_modes_are_fine_also_in_the_keyword_form(shop, failed, mode):
    text = f"DATABASE_URL=\"host=db.staging.example.com dbname=shop user=app password='p w' sslmode={mode}\""
    assert failed(shop(staging=text, production="DATABASE_URL=" + PRODUCTION_DSN), "staging") == {}


@pytest.mark.parametrize(
    "value",
    ["postgresql://app:pw@localhost/shop", "redis://127.0.0.1:6379/0", "http://[::1]:8000", "postgresql:///shop?host=/tmp",
     "${DATABASE_URL:-postgresql://db.example.com/shop?sslmode=require}"],
)  # fmt: skip
def test_a_local_address_or_fallback_in_a_deployed_environment_is_found(shop, failed, value):
    found = failed(shop(staging=f"SERVICE_URL={value}", production="SERVICE_URL=https://api.example.com"), "staging")
    assert found["env.local_fallback web: SERVICE_URL"] == "high"


def test_a_local_address_that_the_contract_allows_is_fine(shop, failed):
    rules = [{"key": "SERVICE_URL", "allow_local": True}]
    application = shop(
        staging="SERVICE_URL=http://localhost:1\nHOST=0.0.0.0", production="SERVICE_URL=http://x.io\nHOST=0.0.0.0", rules=rules
    )
    assert failed(application, "staging") == {}


def test_a_secret_that_two_environments_share_is_found_in_both(shop, failed):
    text = f"SESSION_SECRET={SECRET}\nTHEME=dark-and-long-enough"
    application = shop(staging=text, production=text, rules=[{"key": "SESSION_SECRET", "secret": True}])
    for name in ("staging", "production"):
        assert failed(application, name) == {"env.shared_secret web: SESSION_SECRET": "high"}


def test_a_secret_under_another_name_is_the_same_secret(shop, failed):
    application = shop(staging=f"API_TOKEN={SECRET}", production=f"OTHER_PASSWORD={SECRET}")
    assert "env.shared_secret web: API_TOKEN" in failed(application, "staging")


@pytest.mark.parametrize(
    "line",
    ["NEXT_PUBLIC_STRIPE=sk_live_0123456789abcdef", "NEXT_PUBLIC_SERVICE_ROLE_KEY=whatever",
    "VITE_DB=postgresql://u:p@db.x.io/shop?sslmode=require",
     "NEXT_PUBLIC_KEY=eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2ln",
     f"NEXT_PUBLIC_X={SECRET}\nJWT_SECRET={SECRET}"],
)  # fmt: skip
def test_a_secret_in_a_public_variable_is_critical(shop, failed, line):
    found = failed(shop(staging=line, production="A=1"), "staging")
    assert [severity for name, severity in found.items() if name.startswith("env.public_secret")] == ["critical"]


@pytest.mark.parametrize(
    "line",
    ["NEXT_PUBLIC_STRIPE=pk_live_0123456789abcdef",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY=eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2ln",
     "NEXT_PUBLIC_SUPABASE_KEY=sb_publishable_abc123", "NEXT_PUBLIC_API=https://api.example.com"],
)  # fmt: skip
def test_publishable_keys_are_meant_to_be_public(shop, failed, line):
    assert failed(shop(staging=line, production=line), "staging") == {}


def test_debugging_is_found_where_it_is_on(shop, failed):
    application = shop(staging="DEBUG=True\nDJANGO_DEBUG=off", production="DEBUG=1\nDJANGO_DEBUG=0")
    assert failed(application, "staging") == {"env.debug web: DEBUG": "medium"}
    assert failed(application, "production") == {"env.debug web: DEBUG": "high"}


def test_values_of_the_wrong_kind_are_found(shop, failed):
    rules = [
        {"key": "WORKERS", "kind": "number"}, {"key": "REGION", "allowed": ["fra1", "arn1"]}, {"key": "DATABASE_URL",
        "kind": "postgres"},
        {"key": "FLAG", "kind": "boolean"}, {"key": "SITE", "kind": "url"},
    ]  # fmt: skip
    wrong = "WORKERS=many\nREGION=mars\nDATABASE_URL=mysql://u:p@db.x.io/y\nFLAG=perhaps\nSITE=example"
    found = failed(shop(staging=wrong, production=wrong, rules=rules), "staging")
    assert {name.split(": ")[1] for name in found if name.startswith("env.invalid_variable")} == {
        "WORKERS",
        "REGION",
        "DATABASE_URL",
        "FLAG",
        "SITE",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [("A=1\nthis is nothing", "line 2: this is not KEY=value"),
    ('A=1\nB="never closed', "line 2: the quote of B is never closed"),
     ("A=1\nA=2", "line 2: A is there twice"), ("", "is empty")],
)  # fmt: skip
def test_a_broken_file_is_not_evaluated_with_its_line_and_without_its_values(shop, text, says):
    application = shop(staging=text, production="A=1", rules=[{"key": "A"}])
    results = [r for r in check_contract(application.environments.get(name="staging")) if r.verdict is Verdict.NOT_EVALUATED]
    assert {r.check for r in results} >= {"env.missing_variable", "env.shared_secret", "env.debug"}
    assert says in results[0].reason


def test_a_file_that_is_not_there_is_not_evaluated(shop):
    from environments.models import Component

    application = shop(staging="A=1", production="A=1")
    Component.objects.filter(environment__name="staging").update(variables_ref="file:nowhere.env")
    results = check_contract(application.environments.get(name="staging"))
    assert {r.verdict for r in results} == {Verdict.NOT_EVALUATED}


def test_no_variables_at_all_is_not_evaluated_where_a_contract_wants_some(shop):
    results = check_contract(shop(staging=None, production=None, rules=[{"key": "A"}]).environments.get(name="staging"))
    assert [r.verdict for r in results if r.check == "env.missing_variable"] == [Verdict.NOT_EVALUATED]


def test_dotenv_forms_are_understood(shop, settings):
    text = 'export A=1\nB=\'single $x\'\nC="two\nlines" \nD = spaced # comment\nE=a#b\nF="esc \\" quote"\n\n# end'
    environment = shop(staging=text, production="").environments.get(name="staging")
    keys = variables.variable_keys(environment.components.get())
    from controlplane.core.secretrefs import fingerprint

    expected = {"A": "1", "B": "single $x", "C": "two\nlines", "D": "spaced", "E": "a#b", "F": 'esc " quote'}
    assert keys == {key: fingerprint(value) for key, value in expected.items()}


def test_no_value_is_in_anything_that_leaves_the_module(shop):
    parts = ("pw-staging", "pw-production", SECRET, "db.production.example.com", "sk_live_0123456789abcdef")
    text = (
        f"DATABASE_URL={PRODUCTION_DSN}\nSESSION_SECRET={SECRET}\nNEXT_PUBLIC_K={parts[4]}\nCACHE=redis://:pw-staging@localhost/0"
    )
    rules = [
        {"key": "DATABASE_URL", "kind": "number", "per_environment": PER_ENVIRONMENT},
        {"key": "SESSION_SECRET", "secret": True},
    ]
    application = shop(staging=text, production=text, rules=rules)
    results = check_contract(application.environments.get(name="staging"))
    said = json.dumps([[r.object, r.title, r.evidence, r.reason, r.cure] for r in results])
    said += repr(variables.variables_of(application.environments.get(name="staging")))
    assert len([r for r in results if r.verdict is Verdict.FAIL]) >= 5
    assert [part for part in parts if part in said] == []
