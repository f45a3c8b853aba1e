import psycopg
import pytest

from environments.models import Finding
from environments.services import diagnosis

pytestmark = pytest.mark.django_db


def found(environment, check):
    open_ones = Finding.objects.filter(environment=environment, check_id=check, state="open")
    return {finding.object: finding.evidence for finding in open_ones}


def alter(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(statement.replace("DATABASE", f"DATABASE {name}"))


def test_settings_that_differ_are_found_and_equal_ones_are_not(make_application, make_database):
    urls = {"staging": make_database(), "production": make_database()}
    alter(urls["staging"], "ALTER DATABASE SET work_mem = '8MB'")
    alter(urls["production"], "ALTER DATABASE SET work_mem = '64MB'")
    alter(urls["production"], "ALTER DATABASE SET jit = off")
    for url in urls.values():
        alter(url, "ALTER DATABASE SET timezone = 'UTC'")
        alter(url, "ALTER DATABASE SET statement_timeout = '30s'")
    staging = make_application(urls).environments.get(name="staging")
    diagnosis.run_diagnosis(environment=staging)
    assert found(staging, "cross.setting_drift") == {
        "main: work_mem": {"here": "8MB", "source_of_truth": "64MB"},
        "main: jit": {"here": "not set", "source_of_truth": "off"},
    }


def test_what_was_mended_in_staging_and_not_in_production_is_said(make_application, make_database):
    tables = ["CREATE TABLE notes (body text)", "CREATE TABLE logs (body text)"]
    urls = {"staging": make_database(*tables), "production": make_database(*tables)}
    application = make_application(urls)
    staging, production = (application.environments.get(name=name) for name in urls)
    for environment in (staging, production):
        diagnosis.run_diagnosis(environment=environment)
    alter(urls["staging"], "ALTER TABLE notes ADD PRIMARY KEY (body)")
    diagnosis.run_diagnosis(environment=staging)
    assert found(staging, "cross.finding_skew") == {}, "it is resolved by this very run"
    diagnosis.run_diagnosis(environment=staging)
    assert list(found(staging, "cross.finding_skew")) == ["main: public.notes (schema.no_primary_key)"]
    alter(urls["production"], "ALTER TABLE notes ADD PRIMARY KEY (body)")
    diagnosis.run_diagnosis(environment=production)
    diagnosis.run_diagnosis(environment=staging)
    assert found(staging, "cross.finding_skew") == {}
