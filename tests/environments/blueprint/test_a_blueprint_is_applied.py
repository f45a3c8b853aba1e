"""Applying makes the database hold what the file says, once, whole or not at all, with an audit event for every change."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from controlplane.core.models import AuditEvent
from environments import blueprint
from environments.models import Application, Component, Environment, ManagedDatabase, Release, SyncPlan, VariableRule

pytestmark = pytest.mark.django_db


def apply(path: Path, *arguments: str) -> str:
    out = io.StringIO()
    call_command("apply", str(path), *arguments, stdout=out)
    return out.getvalue()


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new, 1))


def actions(path: Path, *, prune: bool = False) -> dict[str, str]:
    """name -> action, of what is not unchanged."""
    changes = blueprint.apply(blueprint=blueprint.load(path), actor=None, prune=prune)
    return {f"{c.kind} {c.name}": c.action.value for c in changes if c.action is not blueprint.Action.UNCHANGED}


def test_all_of_it_is_there_afterwards(shop: Path, cast: dict[str, Any]) -> None:
    report = apply(shop, "--as", "bob")
    assert "+ environment shop/production" in report
    assert "shop: 12 created." in report
    production = Environment.objects.get(application__slug="shop", name="production")
    assert (production.is_source_of_truth, production.required_approvals) == (True, 1)
    assert production.promotes_from is not None
    assert production.promotes_from.name == "staging"
    assert ManagedDatabase.objects.get(environment__name="staging").parity_tables == ["public.articles"]
    assert SyncPlan.objects.get().source == production
    events = AuditEvent.objects.filter(action="blueprint.create")
    assert events.count() == 12
    assert set(events.values_list("actor_name", flat=True)) == {"bob"}


def test_a_second_time_changes_nothing(shop: Path) -> None:
    apply(shop)
    events = AuditEvent.objects.count()
    assert apply(shop) == "shop: 12 unchanged.\n"
    assert AuditEvent.objects.count() == events
    assert json.loads(apply(shop, "--json"))["changed"] is False


def test_a_change_shows_before_and_after(shop: Path) -> None:
    apply(shop)
    change(shop, "restart: shop-restart", "restart: shop-reload")
    report = apply(shop)
    assert '~ component shop/staging/web\n    settings: {"restart": "shop-restart"} -> {"restart": "shop-reload"}' in report
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.subject_label) == ("blueprint.update", "shop/staging/web")
    assert event.data == {"settings": [{"restart": "shop-restart"}, {"restart": "shop-reload"}]}


def test_a_dry_run_shows_the_same_and_changes_nothing(shop: Path) -> None:
    out = io.StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("apply", str(shop), "--dry-run", stdout=out)
    assert caught.value.code == 2
    assert "shop: 12 created. Dry run: nothing was changed." in out.getvalue()
    assert not Application.objects.exists()
    assert not AuditEvent.objects.exists()
    applied = apply(shop)
    assert out.getvalue().startswith(applied.rsplit("\n", maxsplit=2)[0])
    assert "Dry run" in apply(shop, "--dry-run"), "and exits with 0, as there is nothing to change"


def test_json_is_one_object_with_every_change(shop: Path) -> None:
    result = json.loads(apply(shop, "--json"))
    assert (result["application"], result["changed"], result["applied"], len(result["changes"])) == ("shop", True, True, 12)
    first = result["changes"][0]
    assert first == {"action": "create", "kind": "application", "name": "shop", "fields": {"name": [None, "Shop"]}, "note": ""}


def test_nothing_is_applied_while_anything_is_wrong(shop: Path) -> None:
    change(shop, "from: production, to: staging", "from: staging, to: production")
    with pytest.raises(CommandError, match=r"shop\.yaml:\d+:\d+: Data flows only to less") as caught:
        apply(shop)
    assert caught.value.returncode == 1
    assert str(caught.value).endswith("1 problem. Nothing was changed.")
    assert not Application.objects.exists()


@pytest.mark.parametrize("reference", ["env:SECRET_KEY", "env:DATABASE_URL", "env:HOME", "file:../key", "file:/etc/passwd"])
def test_references_that_are_not_allowed_are_told_at_their_line(shop: Path, reference: str) -> None:
    change(shop, "env:TARGET_SHOP_STAGING", reference)
    with pytest.raises(CommandError, match=r"shop\.yaml:12:19: dsn: "):
        apply(shop)


def test_a_file_that_cannot_be_read_is_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be read: No such file"):
        apply(tmp_path / "nothing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    with pytest.raises(CommandError, match="not UTF-8"):
        apply(tmp_path / "latin.yaml")


def test_an_unknown_account_is_refused(shop: Path) -> None:
    with pytest.raises(CommandError, match="no active account 'eve'"):
        apply(shop, "--as", "eve")
    assert not Application.objects.exists()


def test_what_the_file_no_longer_names_stays_and_is_reported(shop: Path) -> None:
    apply(shop)
    change(shop, "      worker: {kind: worker}\n", "")
    change(shop, "  - {key: LOG_LEVEL, required: false, allowed: [info, debug]}\n", "  []\n")
    assert actions(shop) == {"component shop/staging/worker": "unnamed", "variable LOG_LEVEL": "unnamed"}
    assert Component.objects.filter(name="worker").exists()


def test_prune_deletes_it(shop: Path) -> None:
    apply(shop)
    change(shop, "      worker: {kind: worker}\n", "")
    change(shop, "  - {key: LOG_LEVEL, required: false, allowed: [info, debug]}\n", "  []\n")
    with pytest.raises(SystemExit):
        apply(shop, "--prune", "--dry-run")
    assert Component.objects.filter(name="worker").exists()
    assert "- component shop/staging/worker" in apply(shop, "--prune")
    assert not Component.objects.filter(name="worker").exists()
    assert not VariableRule.objects.exists()
    assert set(AuditEvent.objects.filter(action="blueprint.delete").values_list("subject_label", flat=True)) == {
        "shop/staging/worker",
        "shop: LOG_LEVEL",
    }


def test_prune_deletes_an_environment_from_its_leaves(shop: Path) -> None:
    apply(shop)
    text = shop.read_text()
    start, end = text.index("  staging:"), text.index("  production:")
    text = text[:start] + text[end : text.index("sync:")]
    shop.write_text(text.replace("    promotes_from: staging\n", ""))
    done = actions(shop, prune=True)
    assert done["environment shop/staging"] == done["database shop/staging:main"] == done["sync down"] == "delete"
    assert [row.name for row in Environment.objects.all()] == ["production"]


def test_prune_never_deletes_what_has_history(shop: Path) -> None:
    from environments.models import DiagnosisRun

    apply(shop)
    staging = Environment.objects.get(name="staging")
    DiagnosisRun.objects.create(environment=staging)
    text = shop.read_text()
    start, end = text.index("  staging:"), text.index("  production:")
    shop.write_text((text[:start] + text[end : text.index("sync:")]).replace("    promotes_from: staging\n", ""))
    report = apply(shop, "--prune")
    assert "! environment shop/staging\n    The file does not name it, but it has history (diagnosis runs)" in report
    assert Environment.objects.filter(name="staging").exists()


def test_releases_and_other_history_survive_everything(shop: Path) -> None:
    apply(shop)
    application = Application.objects.get()
    Release.objects.create(application=application, version="1.0.0")
    apply(shop, "--prune")
    assert application.releases.count() == 1


def test_the_source_of_truth_can_move(shop: Path) -> None:
    apply(shop)
    change(shop, "    source_of_truth: true\n", "")
    change(shop, "    data_class: masked\n", "    data_class: masked\n    source_of_truth: true\n")
    assert set(actions(shop)) == {"environment shop/staging", "environment shop/production"}
    assert Environment.objects.get(is_source_of_truth=True).name == "staging"


def test_a_forgotten_source_of_truth_is_told(shop: Path) -> None:
    apply(shop)
    before = Environment.objects.count()
    change(shop, "  production:\n", "  live:\n")
    change(shop, "from: production", "from: live")
    with pytest.raises(CommandError, match="'live' can't become the source of truth: 'production' is"):
        apply(shop)
    assert Environment.objects.count() == before


def test_an_operators_change_is_seen_and_taken_back(shop: Path) -> None:
    apply(shop)
    Environment.objects.filter(name="production").update(required_approvals=5)
    assert actions(shop) == {"environment shop/production": "update"}
    assert Environment.objects.get(name="production").required_approvals == 1


def test_plan_changes_nothing(shop: Path) -> None:
    plan = blueprint.plan(blueprint=blueprint.load(shop))
    assert {change.action.value for change in plan} == {"create"}
    assert not Application.objects.exists()
