"""A protected environment gets its migrations by an approved promotion; everything else is refused or has a name and a reason."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from controlplane.core.models import AuditEvent, Job
from environments.models import Promotion
from environments.services.errors import NotAllowed, ServiceError
from migrations_registry.models import MigrationRun
from migrations_registry.services import runs
from tests.migrations_registry.services.world import World


@pytest.fixture
def ready(world: World) -> World:
    world.register("1", "CREATE TABLE a ()", revert_sql="DROP TABLE a")
    world.register("2", "CREATE TABLE b ()")
    return world


def apply(world: World, **values: object) -> MigrationRun:
    return runs.run_migrations(database=world.production, mode="apply", **values)  # type: ignore[arg-type]


def test_who_may_not_run_migrations(ready: World) -> None:
    for name, mode, database in product(
        ("alice", "carol", "mallory"), ("apply", "dry-run", "rollback"), (ready.staging, ready.production)
    ):
        values: dict[str, Any] = {"mode": mode, "actor": ready.cast[name], "force_reason": "really", "rollback_version": "1"}
        for refuse in (runs.run_migrations, runs.start_run):
            with pytest.raises(NotAllowed, match=f"{name} may not run migrations"):
                refuse(database=database, **values)  # type: ignore[operator]
    assert not MigrationRun.objects.exists()
    assert not Job.objects.exists()


def test_mallory_may_not_even_validate(ready: World) -> None:
    with pytest.raises(NotAllowed):
        runs.run_migrations(database=ready.staging, mode="validate", actor=ready.cast["mallory"])
    assert runs.run_migrations(database=ready.staging, mode="validate", actor=ready.cast["carol"]).state == "succeeded"


def test_bob_needs_a_promotion_or_a_reason(ready: World) -> None:
    ready.backed_up(ready.production)
    with pytest.raises(NotAllowed, match="gets its migrations by promotion"):
        apply(ready, actor=ready.cast["bob"])
    with pytest.raises(NotAllowed, match="gets its migrations by promotion"):
        apply(ready, actor=ready.cast["bob"], force_reason="  ")
    with pytest.raises(NotAllowed, match="a person who answers for it"):
        apply(ready, force_reason="nobody said")
    assert ready.tables(ready.production) == []
    apply(ready, actor=ready.cast["bob"], force_reason="outage 42")
    assert ready.tables(ready.production) == ["a", "b"]
    started = AuditEvent.objects.get(action="migrations.started")
    assert (started.actor_name, started.data["forced"]) == ("bob", "outage 42")


def test_nothing_skips_the_backup(ready: World) -> None:
    promotion = ready.promotion(["1", "2"])
    for hours, words in ((None, "no good backup"), (25, "is 25 h old")):
        if hours:
            ready.backed_up(ready.production, hours_ago=hours)
        with pytest.raises(ServiceError, match=words):
            apply(ready, actor=ready.cast["bob"], force_reason="outage 42")
        with pytest.raises(ServiceError, match=words):
            apply(ready, promotion=promotion, versions=["1"])
    assert ready.tables(ready.production) == []


def test_a_promotion_counts_only_while_it_is_executed(ready: World) -> None:
    ready.backed_up(ready.production)
    for state in ("draft", "awaiting", "approved", "stale", "succeeded", "rolling-back"):
        promotion = ready.promotion(["1"], state=state)
        with pytest.raises(ServiceError, match="only an approved promotion that is being executed"):
            apply(ready, promotion=promotion, versions=["1"])
        Promotion.objects.filter(pk=promotion.pk).update(state="withdrawn")
    assert ready.tables(ready.production) == []


def test_a_promotion_covers_its_own_migrations_only(ready: World) -> None:
    ready.backed_up(ready.production)
    promotion = ready.promotion(["1"])
    for versions in (None, ["1", "2"]):
        with pytest.raises(ServiceError, match="was approved for 1, not for"):
            apply(ready, promotion=promotion, versions=versions)
    with pytest.raises(ServiceError, match="is not for shop/staging"):
        runs.run_migrations(database=ready.staging, mode="apply", promotion=promotion, versions=["1"])
    run = apply(ready, promotion=promotion, versions=["1"])
    assert (run.promotion, ready.tables(ready.production)) == (promotion, ["a"])


def test_rolling_back_is_a_change_like_any_other(ready: World) -> None:
    ready.backed_up(ready.production)
    apply(ready, actor=ready.cast["bob"], force_reason="outage 42")
    with pytest.raises(NotAllowed):
        runs.run_migrations(database=ready.production, mode="rollback", rollback_version="1", actor=ready.cast["bob"])
    runs.run_migrations(
        database=ready.production, mode="rollback", rollback_version="1", actor=ready.cast["bob"], force_reason="back"
    )
    assert ready.tables(ready.production) == ["b"]
