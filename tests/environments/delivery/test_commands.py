"""The commands of delivery: who acts, what is said, and the exit codes."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from controlplane.core.models import ApiToken
from environments.models import Promotion, Release
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


def run(*words: object) -> str:
    out = io.StringIO()
    call_command(*(str(word) for word in words), stdout=out)
    return out.getvalue()


def run_json(*words: object) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(run(*words, "--json"))
    return loaded


def test_the_whole_way_on_a_terminal(shop: Shop) -> None:
    run("release", "shop", "1.0.0", "--artifact", "web=image-1", "--as", "alice")
    for environment in ("staging", "production"):
        run("deploy_initial", "shop/1.0.0", "--to", environment, "--as", "bob")
    drain()
    shop.diagnosed()
    release = run_json(
        "release", "shop", "1.1.0", "--artifact", "web=image-2", "--migration", "1", "--commit", "abcdef1", "--as", "alice"
    )
    assert Release.objects.get(pk=release["id"]).migrations == ["1"]
    run("promote", "1.1.0", "--to", "staging", "--as", "alice")
    drain()
    promoted = run_json("promote", "shop/1.1.0", "--from", "staging", "--to", "production", "--reason", "ready", "--as", "alice")
    drain()
    promotion = Promotion.objects.get(pk=promoted["promotion"])
    with pytest.raises(CommandError, match="Nothing was approved. Repeat it with --digest " + promotion.digest):
        run("approve", promotion.pk, "--as", "bob")
    approved = run_json("approve", promotion.pk, "--digest", promotion.digest, "--as", "bob")
    assert approved["state"] == "approved"
    drain()
    assert shop.serves("production") == "1.1.0"
    rolled = run_json("rollback", promotion.pk, "--reason", "Invoices are wrong.", "--as", "bob")
    assert rolled["state"] == "rolling-back"
    drain()
    history = run_json("history", "shop")
    current = {cell["environment"]: cell["release"] for cell in history["current"]}
    assert current == {"shop/staging": "1.1.0", "shop/production": "1.0.0"}
    assert [row["kind"] for row in history["deployments"]] == ["rollback", "deploy", "deploy", "initial", "initial"]
    assert "1.0.0" in run("history")


def test_a_rejection_on_a_terminal(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    assert run_json("reject", promotion.pk, "--digest", promotion.digest, "--reason", "no", "--as", "bob")["state"] == "rejected"


def test_mistakes_are_named_and_end_with_an_error(shop: Shop) -> None:
    shop.release("1.0.0")
    for words, said in (
        (("promote", "1.0.0", "--to", "staging", "--as", "nobody"), "no active account"),
        (("promote", "9.9.9", "--to", "staging", "--as", "alice"), "no release"),
        (("promote", "1.0.0", "--to", "moon", "--as", "alice"), "no environment"),
        (("promote", "1.0.0", "--to", "staging", "--as", "carol"), "may not"),
        (("approve", "999", "--as", "bob"), "no promotion"),
        (("release", "shop", "1.0.1", "--artifact", "web", "--as", "alice"), "COMPONENT=ARTIFACT"),
        (("release", "none", "1.0.1", "--as", "alice"), "no application"),
        (("deploy_initial", "1.0.0", "--to", "staging", "--as", "alice"), "may not"),
        (("history", "none"), "no application"),
    ):
        with pytest.raises(CommandError, match=said):
            run(*words)
    assert run("history", "shop").strip() == "Nothing was deployed yet."


@pytest.mark.parametrize(
    ("wrong", "words"), [(["--days", "999999999"], "end of the calendar"), (["--name", "x" * 81], "1 to 80")]
)
def test_a_token_that_can_not_be_is_refused_in_words(shop: Shop, wrong: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run("api_token", "make", "--user", "alice", "--name", "ci", *wrong)
    assert not ApiToken.objects.exists()


def test_api_tokens_are_made_shown_once_and_revoked(shop: Shop) -> None:
    made = run_json("api_token", "make", "--user", "alice", "--name", "ci", "--days", "30")
    row = ApiToken.objects.get(pk=made["id"])
    assert made["token"].startswith("evt_")
    assert made["token"] not in (row.digest, run("api_token", "list", "--user", "alice"))
    assert row.expires_at is not None
    with pytest.raises(CommandError, match="has no token"):
        run("api_token", "revoke", "--user", "bob", "--id", row.pk)
    assert run_json("api_token", "revoke", "--user", "alice", "--id", row.pk)["revoked"]
    with pytest.raises(CommandError, match="revoked before"):
        run("api_token", "revoke", "--user", "alice", "--id", row.pk)
    with pytest.raises(CommandError, match="what the token is for"):
        run("api_token", "make", "--user", "alice")
