"""The story of the quick start: ibam is found uneven, is levelled, and ships twice: once well, once badly and back.

Everything goes through the services that the admin, the API and the commands use, and through the worker.
"""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import timedelta

from django.utils import timezone

from controlplane.demo.processes import Processes
from controlplane.demo.stage import (
    QUICK,
    REMINDERS,
    application,
    back_up_production,
    database,
    diagnose,
    environment,
    finish,
    lay_out_the_tour,
    prepare,
    record,
    register_reminders,
    user,
)
from controlplane.demo.transcript import StoryError, Transcript
from controlplane.demo.world import World
from environments.delivery.states import PROMOTION_ACTIVE, PROMOTION_WAITING, PromotionState
from environments.models import (
    Deployment,
    Finding,
    Promotion,
    Release,
    SyncPlan,
    SyncRun,
)
from environments.services import approvals, diagnosis, promotions, syncs
from environments.services.errors import ServiceError
from migrations_registry.services import repairs, runs

REPAIR = "20260520090000"
LONG = 120


def open_for_the_operator(world: World) -> int:
    """Sets everything up, shows what the diagnosis finds, and stays until it is told to stop."""
    told = Transcript()
    processes = Processes(world)
    try:
        logins = prepare(world, processes, told)
        lay_out_the_tour(told)
        told.chapter("Over to you")
        told.line(f"Evenkeel is at {world.address}/admin/ until you press Ctrl-C. Log in as:")
        told.table(["account", "password", "may"], [(name, password, may) for name, (password, may) in logins.items()])
        told.line(
            "A good beginning: the findings of staging, then 'make this a migration' on the missing column. README.md has a tour."
        )
        while True:
            processes.heal()
            time.sleep(0.5)
    finally:
        processes.stop()


def tell_all(world: World) -> int:
    """The whole story; returns 0 when every part of it went as it must."""
    told = Transcript()
    processes = Processes(world)
    started = time.monotonic()
    try:
        prepare(world, processes, told)
        repair_staging(world, told)
        sync_sessions(told)
        find_nothing_left(told)
        ship_1_1_0(world, told)
        ship_1_2_0_and_come_back(world, told)
        show_history(told)
        told.line(
            f"All of this took {time.monotonic() - started:.0f} s. The state is kept in .quickstart/once until the next time."
        )
        return 0
    except (StoryError, ServiceError) as error:
        processes.check()
        told.line(f"The story broke off: {error}")
        return 1
    finally:
        processes.stop()


def repair_staging(world: World, told: Transcript) -> None:
    told.chapter("Staging's schema and variables are repaired")
    migration = repairs.register_repair(
        base=database("staging"),
        target=database("production"),
        actor=user("bob"),
        version=REPAIR,
        name="level staging with production",
    )
    told.line(f"The repair is registered as migration {migration.version}, checksum {migration.checksum[:12]}…:")
    told.block(migration.sql)
    job = runs.start_run(database=database("staging"), mode="apply", actor=user("bob"), versions=[migration.version])
    finish(job, told, seconds=QUICK)
    told.result(True, "The runner applied it to staging; the ledger row lies in the same transaction.")
    path = world.directory / "secrets" / "ibam-staging.env"
    path.write_text(path.read_text().replace("ibam-learning-platform-v3", "ibam-learning-platform-v2"))
    told.result(True, "PROJECT_URL in staging's variables no longer points at production's project.")


def sync_sessions(told: Transcript) -> None:
    told.chapter("Sessions flow from production to staging, masked")
    plan = SyncPlan.objects.get(application=application(), name="sessions-to-staging")
    finish(syncs.start_sync(plan=plan, actor=user("bob")), told, seconds=QUICK)
    run = SyncRun.objects.filter(plan=plan).latest("id")
    told.line(f"Backup of staging first: {run.backup}. Schema check first: equal.")
    rows = [(t["table"], t["rows_before"], t["copied"], t["inserted"], ", ".join(t["masked"]) or "-") for t in run.tables]
    told.table(["table", "rows before", "rows now", "new", "masked columns"], rows)


def find_nothing_left(told: Transcript) -> None:
    told.chapter("The diagnosis once more")
    for finding in Finding.objects.filter(state=Finding.State.OPEN, check_id="env.unclear_name").select_related("environment"):
        diagnosis.acknowledge(
            finding=finding, actor=user("bob"), reason="The provider can't rename projects; the blueprint says which is which.",
            until=timezone.now() + timedelta(days=90),
        )  # fmt: skip
        told.line(f"Bob acknowledges for 90 days, in {finding.environment.name}: {finding.title}")
    for name in ("production", "staging"):
        run = diagnose(name, told)
        for unseen in run.not_seen:
            told.line(f"Not judged: {unseen['check']}: {unseen['reason']}")
    left = list(diagnosis.blocking_findings(environment("staging"))) + list(
        diagnosis.blocking_findings(environment("production"))
    )
    if left:
        raise StoryError("Findings are left that block a promotion: " + "; ".join(str(finding) for finding in left))
    told.result(True, "Nothing is left that stands in the way of a promotion.")


def ship_1_1_0(world: World, told: Transcript) -> None:
    told.chapter("Release 1.1.0, with one migration, goes to production")
    register_reminders()
    release = record("1.1.0", migrations=[REMINDERS])
    promote_to_staging(release, told)
    back_up_production(told)
    promotion = request_for_production(release, told)
    try:
        approvals.approve(promotion=promotion, approver=user("alice"), digest=promotion.digest, comment="Looks fine to me.")
    except ServiceError as refusal:
        told.result(True, f"Alice, who asked, tries to approve it herself and is refused: {refusal}")
    else:
        raise StoryError("The requester's own approval was accepted.")
    approve_and_wait(promotion, told)
    expect(promotion, PromotionState.SUCCEEDED, told)
    expect_release(world, "production", "1.1.0", told)


def ship_1_2_0_and_come_back(world: World, told: Transcript) -> None:
    told.chapter("Release 1.2.0 fails in production, and the guard takes it back")
    release = record("1.2.0", migrations=[REMINDERS])
    promote_to_staging(release, told)
    promotion = request_for_production(release, told)
    approve_and_wait(promotion, told)
    told.line(f"How it ended: {promotion.outcome}")
    expect(promotion, PromotionState.ROLLED_BACK, told)
    expect_release(world, "production", "1.1.0", told)


def show_history(told: Transcript) -> None:
    told.chapter("The deployment history of all that")
    deployments = Deployment.objects.select_related("component__environment__application", "release", "actor").order_by("id")
    rows = [
        (
            f"{d.created_at:%H:%M:%S}", d.component.environment.name, d.component.name, d.kind, d.release.version,
            d.get_state_display(), d.actor.username if d.actor else "the guard",
        )
        for d in deployments
    ]  # fmt: skip
    told.table(["time (UTC)", "environment", "component", "kind", "release", "state", "by"], rows)


def promote_to_staging(release: Release, told: Transcript) -> None:
    promotion = promotions.request_promotion(
        release=release, target=environment("staging"), requester=user("alice"), reason="to be tried out"
    )
    wait_for_end(promotion, told)
    expect(promotion, PromotionState.SUCCEEDED, told)


def request_for_production(release: Release, told: Transcript) -> Promotion:
    for name in ("staging", "production"):
        diagnose(name, told)
    promotion = promotions.request_promotion(
        release=release,
        target=environment("production"),
        source=environment("staging"),
        requester=user("alice"),
        reason="verified on staging",
    )
    told.line(f"Alice requests: {promotion}. The gates say:")
    told.wait("the gates", lambda: reload(promotion).state not in (PromotionState.DRAFT, PromotionState.EVALUATING), seconds=LONG)
    results = promotion.gate_results.filter(round=promotion.round)
    told.table(["gate", "outcome", "evidence"], [(r.title, r.outcome, r.summary[:82]) for r in results])
    if promotion.state != PromotionState.AWAITING_APPROVAL:
        raise StoryError(f"The promotion is {promotion.get_state_display().lower()} and can't be approved.")
    return promotion


def approve_and_wait(promotion: Promotion, told: Transcript) -> None:
    approvals.approve(
        promotion=promotion, approver=user("bob"), digest=promotion.digest, comment="Evidence read, way back is there."
    )
    told.result(True, f"Bob approves exactly what he was shown (digest {promotion.digest[:12]}…).")
    wait_for_end(promotion, told)
    told.table(
        ["step", "state", "seconds"],
        [(s.title, s.get_state_display(), _seconds(s.started_at, s.finished_at)) for s in promotion.steps.all()],
    )


def wait_for_end(promotion: Promotion, told: Transcript) -> None:
    under_way = {*PROMOTION_ACTIVE, PromotionState.DRAFT, PromotionState.EVALUATING, PromotionState.APPROVED, PromotionState.HELD}
    stuck = set(PROMOTION_WAITING) - under_way
    told.wait(f"the end of {promotion}", lambda: reload(promotion).state not in under_way, seconds=LONG)
    if promotion.state in stuck:
        reasons = "; ".join(
            f"{r.title}: {r.summary}" for r in promotion.gate_results.filter(round=promotion.round).exclude(outcome="pass")
        )
        raise StoryError(f"{promotion} is {promotion.get_state_display().lower()}. {reasons}")


def expect(promotion: Promotion, state: PromotionState, told: Transcript) -> None:
    if promotion.state != state:
        raise StoryError(f"{promotion} ended as {promotion.get_state_display()}: {promotion.outcome}")
    told.result(True, f"{promotion}: {promotion.get_state_display()}.")


def expect_release(world: World, name: str, version: str, told: Transcript) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{world.ports[name]}/health", timeout=5) as response:
        health = json.load(response)
    if health["release"] != version:
        raise StoryError(f"{name} serves {health['release']}, not {version}.")
    told.result(True, f"{name} answers: {json.dumps(health)}")


def reload(promotion: Promotion) -> Promotion:
    promotion.refresh_from_db()
    return promotion


def _seconds(started: object, finished: object) -> str:
    return f"{(finished - started).total_seconds():.1f}" if started and finished else "-"  # type: ignore[operator]
