"""What each gate of this floor says, and what it asks people to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from controlplane.core.models import AuditEvent
from environments.delivery import evaluation, extension
from environments.delivery.extension import Gate, GateReport, Phase, gate
from environments.delivery.states import GateOutcome
from environments.models import (
    Backup,
    DiagnosisRun,
    Environment,
    Finding,
    ManagedDatabase,
    Promotion,
    Release,
    VariableRule,
)
from environments.services import promotions
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


@pytest.fixture
def asked(shop: Shop) -> Callable[[str], GateReport]:
    """``asked("diagnosis")`` -> what the gate says of a promotion of 1.1.0 from staging to production."""
    shop.started()
    release = shop.staged("1.1.0")
    promotion = promotions.request_promotion(release=release, target=shop.production, requester=shop.cast["alice"])

    def ask(key: str) -> GateReport:
        found = extension.find_gate(key)
        assert isinstance(found, Gate)
        return found.evaluate(Promotion.objects.get(pk=promotion.pk))

    return ask


def a_finding(environment: Environment, **more: Any) -> Finding:
    values = {"fingerprint": "f" * 32, "check_id": "index.duplicate", "area": "index", "object": "main: t", "severity": "high"}
    return Finding.objects.create(
        environment=environment, title="Two equal indexes", why="It costs writes.", **{**values, **more}
    )


def test_diagnosis_passes_when_both_are_fresh_and_clean(asked: Callable[[str], GateReport]) -> None:
    report = asked("diagnosis")
    assert (report.outcome, report.facts) == ("pass", {"blocking": [], "acknowledged": []})


def test_diagnosis_stops_at_a_high_finding_of_either_side(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    finding = a_finding(shop.staging)
    report = asked("diagnosis")
    assert report.outcome == "fail"
    assert report.facts["blocking"] == [finding.fingerprint]
    assert "Repair" in report.summary
    finding.delete()
    a_finding(shop.staging, severity="medium")
    assert asked("diagnosis").outcome == "pass"


def test_an_acknowledged_finding_is_shown_and_does_not_stop(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    a_finding(
        shop.production, state="acknowledged", acknowledged_by=shop.cast["bob"], acknowledged_reason="Known.",
        acknowledged_until=timezone.now() + timedelta(days=9),
    )  # fmt: skip
    report = asked("diagnosis")
    assert report.outcome == "pass"
    assert "1 finding acknowledged" in report.summary
    assert any(entry.get("heading") == "Acknowledged findings" for entry in report.evidence)


def test_diagnosis_that_is_old_missing_or_failed_is_inconclusive(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    run = DiagnosisRun.objects.get(environment=shop.production)
    for change, said in (
        ({"finished_at": timezone.now() - timedelta(hours=30)}, "30 h old"),
        ({"finished_at": timezone.now(), "state": "failed"}, "no finished diagnosis"),
    ):
        DiagnosisRun.objects.filter(pk=run.pk).update(**change)
        report = asked("diagnosis")
        assert (report.outcome, said in report.summary, "Run the diagnosis" in report.summary) == ("inconclusive", True, True)
    run.delete()
    assert "no finished diagnosis" in asked("diagnosis").summary


def test_a_partial_diagnosis_says_what_it_did_not_see(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    unseen = [{"check": "stats.bloat", "object": "main", "reason": "No right to read it.", "cure": "GRANT pg_monitor"}]
    DiagnosisRun.objects.filter(environment=shop.production).update(state="partial", not_seen=unseen)
    report = asked("diagnosis")
    assert report.outcome == "pass"
    assert any("could not be judged" in str(entry.get("heading")) for entry in report.evidence)


def test_source_live_wants_the_release_itself(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    assert asked("source-live").outcome == "pass"
    shop.staged("1.2.0")
    report = asked("source-live")
    assert report.outcome == "fail"
    assert "Promote it to shop/staging first" in report.summary


def a_database(shop: Shop) -> ManagedDatabase:
    return ManagedDatabase.objects.create(environment=shop.production, name="main", dsn_ref="env:TARGET_NONE")


def a_backup(database: ManagedDatabase, age: timedelta) -> None:
    taken = timezone.now() - age
    path = Path(settings.EVENKEEL_BACKUP_DIR) / f"{taken.timestamp()}.dump"
    path.write_bytes(b"dump")
    Backup.objects.create(
        database=database, purpose="nightly", state="succeeded", path=path.name, size_bytes=4, sha256="a" * 64, started_at=taken,
        finished_at=taken,
    )  # fmt: skip


def test_backup_wants_a_good_one_of_today(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    assert asked("backup").outcome == "pass", "there is no database"
    database = a_database(shop)
    assert (asked("backup").outcome, "has no good backup" in asked("backup").summary) == ("fail", True)
    a_backup(database, timedelta(hours=30))
    assert asked("backup").outcome == "fail"
    a_backup(database, timedelta(hours=3))
    report = asked("backup")
    assert (report.outcome, report.facts) == ("pass", {"databases": ["main"]})
    assert report.measured_at is not None
    assert timezone.now() - report.measured_at > timedelta(hours=2), "the evidence is as old as the backup"


def test_backup_before_migrations_is_fresh_where_the_rollout_takes_none(shop: Shop) -> None:
    shop.started()
    release = shop.staged("1.1.0", migrations=["20260101"])
    promotion = promotions.request_promotion(release=release, target=shop.production, requester=shop.cast["alice"])
    a_backup(a_database(shop), timedelta(hours=3))
    found = extension.find_gate("backup")
    assert found is not None
    assert found.evaluate(promotion).outcome == "fail"


def test_way_back_is_proven_on_the_disk(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    report = asked("way-back")
    assert (report.outcome, report.facts) == ("pass", {"web": "1.0.0"})
    (shop.releases_dir / "shop/production/web/releases/1.0.0/.evenkeel.json").unlink()
    report = asked("way-back")
    assert report.outcome == "fail"
    assert "can't go back to 1.0.0" in report.summary


def test_way_back_of_a_first_deployment_has_a_cure(shop: Shop) -> None:
    promotion = promotions.request_promotion(release=shop.release("1.0.0"), target=shop.staging, requester=shop.cast["alice"])
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "blocked"
    assert "deploy_initial" in promotion.gate_results.get(gate="way-back").summary


def test_env_contract_names_keys_and_never_values(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    secret = "postgresql://shop:hunter2@db.example.com/shop"
    (Path(settings.EVENKEEL_SECRETS_DIR) / "shop.env").write_text(f"DATABASE_URL={secret}\nDEBUG=false\n")
    shop.production.components.update(variables_ref="file:shop.env")
    VariableRule.objects.create(application=shop.application, key="DATABASE_URL", secret=True, kind="postgres", require_tls=True)
    VariableRule.objects.create(application=shop.application, key="STRIPE_KEY", secret=True)
    report = asked("env-contract")
    assert report.outcome == "fail"
    assert report.facts["variables"] == {"web": ["DATABASE_URL", "DEBUG"]}
    assert "hunter2" not in repr(report)


def test_variables_that_can_not_be_read_stop_it_and_break_nothing(shop: Shop, asked: Callable[[str], GateReport]) -> None:
    shop.production.components.update(variables_ref="file:gone.env")
    promotion = promotions.evaluate(promotion=Promotion.objects.get(state="evaluating"))
    assert (promotion.state, promotion.manifest["variables"]) == ("blocked", {"web": None})
    assert asked("env-contract").outcome in ("inconclusive", "fail")


def test_a_gate_that_breaks_is_inconclusive_and_the_others_go_on(shop: Shop) -> None:
    @gate("broken", title="Broken", order=1, phase=Phase.APPROVAL)
    def broken(promotion: Promotion) -> GateReport:
        raise RuntimeError("secret-token-123")

    shop.started()
    release = shop.release("1.1.0")
    promotion = promotions.request_promotion(release=release, target=shop.staging, requester=shop.cast["alice"])
    drain()
    promotion.refresh_from_db()
    outcomes = {result.gate: result.outcome for result in promotion.gate_results.all()}
    assert promotion.state == "blocked"
    assert outcomes.pop("broken") == "inconclusive"
    assert set(outcomes.values()) == {"pass"}
    assert "secret-token-123" not in promotion.outcome


def test_facts_are_kept_as_json_gives_them_back(shop: Shop) -> None:
    @gate("tuple", title="Tuple", order=1, phase=Phase.APPROVAL)
    def odd(promotion: Promotion) -> GateReport:
        return GateReport(outcome=GateOutcome.PASS, summary="", facts={"pair": (1, 2)})

    promotion = Promotion(round=1, release=Release(), target=shop.staging)
    (result,) = [
        evaluation.to_result(g, promotion, evaluation.ask(g, promotion))
        for g in extension.gates(Phase.APPROVAL)
        if g.key == "tuple"
    ]
    assert result.facts == {"pair": [1, 2]}


def test_asking_leaves_its_trace(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    event = AuditEvent.objects.get(action="promotion.awaiting", subject_id=str(promotion.pk))
    assert event.data["digest"] == promotion.digest
