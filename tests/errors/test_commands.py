"""report_key prints a key once, or one clear error."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from environments.models import Environment
from errors.models import ReportKey
from errors.services import find_environment

pytestmark = pytest.mark.django_db


def test_a_key_is_printed_alone(staging: Environment) -> None:
    out = io.StringIO()
    call_command("report_key", "shop/staging", "ci", stdout=out)
    assert find_environment(out.getvalue().strip()) == staging


def test_json(staging: Environment) -> None:
    out = io.StringIO()
    call_command("report_key", "shop/staging", "ci", "--json", stdout=out)
    assert find_environment(json.loads(out.getvalue())["key"]) == staging


@pytest.mark.parametrize("name", ["shop", "shop/nowhere", "", "other/staging"])
def test_an_unknown_environment_makes_no_key(staging: Environment, name: str) -> None:
    with pytest.raises(CommandError, match=r"Known: shop/staging\. No key was made"):
        call_command("report_key", name, "ci")
    assert not ReportKey.objects.exists()
