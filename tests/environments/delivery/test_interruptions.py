"""Workers die, run twice, and fall silent. A rollout goes on from its rows, and nothing happens twice."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from controlplane.core import jobs
from controlplane.core.models import Job, JobState
from environments.delivery import executor, first, rollout, stepruns
from environments.models import Deployment, Promotion, ProviderCall
from environments.providers.command import CommandProvider
from environments.providers.release_directory import ReleaseDirectory
from environments.services import promotions
from environments.services.errors import Conflict, ServiceError
from tests.environments.delivery.conftest import Shop, drain
from tests.helpers import wait_until
from tests.worker import Worker

committed = pytest.mark.django_db(transaction=True)


class Died(BaseException):
    """As if the process had been killed at this very moment."""


class Quiet:
    """A report to nobody."""

    def log(self, line: str) -> None: ...

    def progress(self, percent: int, text: str = "") -> None: ...

    def check(self) -> None: ...


#: Everything that leaves a trace in a rollout: after each of these the worker may die.
TRACES: list[tuple[Any, str]] = [
    (executor, "move"),
    (stepruns, "_change"),
    (rollout, "transition"),
    (ReleaseDirectory, "write_note"),
    (ReleaseDirectory, "switch"),
    (CommandProvider, "_command"),
]


def die_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], bool]:
    """The process dies right after it left trace ``number``. Returns whether it came to that."""
    counter, died = itertools.count(), threading.Event()

    def deadly(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            if next(counter) == number:
                died.set()
                raise Died
            return result

        return call

    for owner, name in TRACES:
        monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    return died.is_set


def looks_right(shop: Shop, promotion: Promotion, version: str) -> None:
    """One live deployment, one switch, nothing left open."""
    promotion.refresh_from_db()
    assert (promotion.state, shop.serves("staging")) == ("succeeded", version), promotion.outcome
    deployment = Deployment.objects.get(promotion=promotion)
    assert deployment.state == "verified"
    assert deployment.log.count("`current` was switched") <= 1, deployment.log
    assert not ProviderCall.objects.filter(deployment=deployment, operation="deploy", outcome="pending").exists()
    live = Deployment.objects.filter(component=deployment.component, state__in=["live", "verified"])
    assert list(live) == [deployment]


class Rewind(Exception):
    """Back to how it was."""


@contextmanager
def rewound(shop: Shop) -> Iterator[None]:
    """Whatever happens inside is taken back afterwards: in the database and on the disk."""
    kept = shop.releases_dir.with_name("kept")
    shutil.copytree(shop.releases_dir, kept, symlinks=True)
    with suppress(Rewind), transaction.atomic():
        yield
        raise Rewind
    shutil.rmtree(shop.releases_dir)
    kept.rename(shop.releases_dir)


def staging_with_1_0_0(shop: Shop) -> None:
    # The switch alone, because there are many: commands and health checks have their own tests.
    shop.staging.components.update(settings={}, health_url="")
    promotions.initial_deployment(release=shop.release("1.0.0"), environment=shop.staging, actor=shop.cast["bob"])
    drain()
    shop.diagnosed()


def each_moment(shop: Shop, promotion: Promotion, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Carries the promotion out again and again from the same beginning, each time with one death, a moment later each time.

    The next worker begins where the rows say; then the test looks. Ends when a run comes to its end without dying.
    """
    for number in itertools.count():
        with rewound(shop):
            with monkeypatch.context() as patch:
                died = die_at(patch, number)
                with suppress(Died):
                    executor.run(promotion.pk, Quiet())
            executor.run(promotion.pk, Quiet())
            promotion.refresh_from_db()
            yield number
        if not died():
            return


@pytest.mark.usefixtures("only_delivery")
def test_a_death_at_any_moment_changes_nothing_about_the_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    staging_with_1_0_0(shop)
    promotion = promotions.request_promotion(release=shop.release("1.1.0"), target=shop.staging, requester=shop.cast["alice"])
    promotions.evaluate(promotion=promotion)
    moments = 0
    for moments in each_moment(shop, promotion, monkeypatch):  # noqa: B007 - counted
        looks_right(shop, promotion, "1.1.0")
    assert moments > 15


@pytest.mark.usefixtures("only_delivery")
def test_a_death_at_any_moment_of_the_way_back_changes_nothing_about_its_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    staging_with_1_0_0(shop)
    promotion = promotions.request_promotion(release=shop.release("1.1.0"), target=shop.staging, requester=shop.cast["alice"])
    drain()
    promotion.refresh_from_db()
    promotions.roll_back(promotion=promotion, actor=shop.cast["bob"], reason="To see how it goes.")
    moments = 0
    for moments in each_moment(shop, promotion, monkeypatch):
        assert (promotion.state, shop.serves("staging")) == ("rolled-back", "1.0.0"), f"died at {moments}: {promotion.outcome}"
        back = Deployment.objects.get(promotion=promotion, kind="rollback")
        assert (back.state, back.actor) == ("verified", shop.cast["bob"])
    assert moments > 10


@pytest.mark.usefixtures("only_delivery")
def test_a_second_job_for_the_same_promotion_finds_nothing_to_do(shop: Shop) -> None:
    shop.started()
    promotion = shop.approved(shop.requested("1.1.0"))
    for _ in range(2):
        promotions.execute(promotion=promotion, actor=shop.cast["bob"])
    ran = drain()
    assert [job.result["state"] for job in ran] == ["succeeded"] * 3
    assert shop.effects.count("restart 1.1.0 production") == 1


@committed
@pytest.mark.usefixtures("only_delivery")
def test_two_workers_at_once_deploy_once(shop: Shop) -> None:
    shop.started()
    promotion = shop.approved(shop.requested("1.1.0"))
    shop.production.components.update(settings={"prepare": "make-ready", "restart": "take-over"})
    second = promotions.execute(promotion=promotion, actor=shop.cast["bob"])
    ids = list(Job.objects.filter(state=JobState.QUEUED).values_list("pk", flat=True))
    assert second.pk in ids

    def work(job_id: int) -> None:
        try:
            jobs.run(job_id)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(pk,)) for pk in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    promotion.refresh_from_db()
    assert promotion.state in ("stale", "succeeded"), promotion.outcome
    assert Deployment.objects.filter(promotion=promotion).count() <= 1
    assert shop.effects.count("restart 1.1.0 production") <= 1


@committed
@pytest.mark.usefixtures("only_delivery")
def test_two_approvers_at_once_start_one_rollout(shop: Shop) -> None:
    """From two connections at the same moment: one is counted, the other is told in plain words."""
    shop.started()
    promotion = shop.requested("1.1.0")
    shop.cast["carol"].groups.set(shop.cast["bob"].groups.all())
    said: list[object] = []
    ready = threading.Barrier(2)

    def decide(name: str) -> None:
        try:
            person = type(shop.cast[name]).objects.get(username=name)
            mine = Promotion.objects.get(pk=promotion.pk)
            ready.wait(10)
            said.append(promotions.approve(promotion=mine, approver=person, digest=mine.digest))
        except ServiceError as error:
            said.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(name,)) for name in ("bob", "carol")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    refused = [answer for answer in said if isinstance(answer, Conflict)]
    assert len(said) == 2
    assert len(refused) == 1
    assert "Somebody was faster: the promotion is approved by" in str(refused[0])
    assert promotion.approvals.count() == 1
    assert Job.objects.filter(kind="promotion.execute", subject=str(promotion.pk)).count() == 1


@committed
@pytest.mark.parametrize("where", ["prepare", "restart"])
def test_a_killed_worker_is_replaced_in_the_middle_of_a_deployment(
    shop: Shop, celery_worker: Callable[..., Worker], commands: dict[str, Any], tmp_path: Path, where: str
) -> None:
    """SIGKILL while the command runs. The command itself lives on; nobody starts it again beside itself."""
    shop.started()
    promotion = shop.requested("1.1.0")
    assert promotion.state == "awaiting", promotion.outcome
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    environ = {"EVENKEEL_COMMANDS_FILE": str(tmp_path / "commands.json"), "EVENKEEL_RELEASES_DIR": str(shop.releases_dir)}
    first = celery_worker(**environ)
    shop.switch(f"hang-{where}")
    shop.approved(promotion)
    job = Job.objects.get(kind="promotion.execute", subject=str(promotion.pk))
    wait_until(lambda: Path(f"{shop.effects_file}.hanging").exists(), what="the command to run")
    first.kill()
    jobs.sweep(now=timezone.now() + timedelta(seconds=60))
    job.refresh_from_db()
    assert job.state == JobState.QUEUED
    celery_worker(**environ)
    # The second worker reads back; an orphaned prepare command still holds the lock, so it waits instead of starting another.
    deployment = wait_until(
        lambda: Deployment.objects.filter(promotion=promotion, log__contains="Reading back").first() or where == "restart",
        what="the second worker to read back",
    )
    assert deployment
    assert shop.effects.count("prepare 1.1.0") == 2, "one in staging, one in production"
    shop.switch(f"hang-{where}", on=False)
    wait_until(lambda: _state(promotion) in ("succeeded", "failed", "rolled-back", "needs-operator"), seconds=40, what="its end")
    promotion.refresh_from_db()
    assert (promotion.state, shop.serves("production")) == ("succeeded", "1.1.0"), promotion.outcome
    deployment = Deployment.objects.get(promotion=promotion)
    assert deployment.state == "verified"
    outcomes = list(deployment.provider_calls.order_by("id").values_list("operation", "outcome"))
    if where == "prepare":
        assert outcomes == [("deploy", "unknown"), ("deploy", "accepted"), ("settle", "accepted")]
    else:
        assert outcomes[0] == ("deploy", "accepted")
        assert shop.effects.count("prepare 1.1.0") == 2


def _state(promotion: Promotion) -> str:
    return Promotion.objects.values_list("state", flat=True).get(pk=promotion.pk)


@pytest.mark.usefixtures("only_delivery")
def test_a_death_at_any_moment_of_a_first_deployment_changes_nothing_about_its_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.staging.components.update(settings={}, health_url="")
    shop.releases_dir.mkdir()
    job = promotions.initial_deployment(release=shop.release("1.0.0"), environment=shop.staging, actor=shop.cast["bob"])
    ids = job.params["deployments"]
    for number in itertools.count():
        with rewound(shop):
            with monkeypatch.context() as patch:
                died = die_at(patch, number)
                with suppress(Died):
                    first.run(ids, Quiet())
            first.run(ids, Quiet())
            (deployment,) = Deployment.objects.all()
            assert (deployment.state, shop.serves("staging")) == ("verified", "1.0.0")
        if not died():
            assert number > 8
            return


@pytest.mark.usefixtures("only_delivery")
def test_who_loses_the_race_for_the_environment_is_held(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both looked and found it free; the unique index lets one of them begin."""
    shop.started()
    older = shop.requested("1.1.0")
    Promotion.objects.filter(pk=older.pk).update(state="rolling-back")
    newer = shop.approved(shop.requested("1.2.0"))
    looks = iter([""])
    real = executor.busy_with
    monkeypatch.setattr(executor, "busy_with", lambda promotion: next(looks, None) or real(promotion))
    drain("promotion.execute")
    newer.refresh_from_db()
    assert (newer.state, shop.serves("production")) == ("held", "1.0.0")
    assert not newer.steps.exists()


@committed
@pytest.mark.usefixtures("only_delivery")
def test_two_promotions_at_once_never_share_an_environment(shop: Shop) -> None:
    shop.started()
    asked = []
    for version in ("1.1.0", "1.2.0"):
        promotion = promotions.request_promotion(release=shop.release(version), target=shop.staging, requester=shop.cast["alice"])
        asked.append(promotions.evaluate(promotion=promotion))
    ready = threading.Barrier(2)

    def work(promotion: Promotion) -> None:
        try:
            ready.wait(10)
            executor.run(promotion.pk, Quiet())
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(promotion,)) for promotion in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for promotion in asked:
        promotion.refresh_from_db()
    older, newer = (promotion.state for promotion in asked)
    assert (older, newer) in {
        ("succeeded", "held"),
        ("succeeded", "stale"),
        ("superseded", "succeeded"),
        ("held", "succeeded"),
        ("stale", "succeeded"),
    }
    assert shop.serves("staging") == ("1.1.0" if older == "succeeded" else "1.2.0")
