"""What goes wrong in a rollout, what is taken back, and what people are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controlplane.core.models import AuditEvent, Job, Notification
from environments.delivery import extension
from environments.delivery.extension import GateReport, OutcomeUnknown, Phase, StepContext, StepFailed, gate, register_step
from environments.delivery.states import GateOutcome
from environments.models import Component, Deployment, Promotion, StepRun
from environments.services import promotions
from environments.services.errors import Conflict, NotAllowed, ServiceError
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


def carried_out(shop: Shop, promotion: Promotion) -> Promotion:
    shop.approved(promotion)
    drain()
    promotion.refresh_from_db()
    return promotion


def test_a_release_that_can_not_be_prepared_touches_nothing(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    (shop.releases_dir / "shop/production/web").mkdir(exist_ok=True)
    shop.switch("fail-prepare")
    carried_out(shop, promotion)
    assert (promotion.state, shop.serves("production")) == ("failed", "1.0.0")
    assert "no such image" in promotion.outcome
    assert "what served before serves on" in promotion.outcome
    assert Deployment.objects.get(promotion=promotion).state == "failed"


def test_a_failure_after_the_switch_goes_back(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    shop.switch("fail-restart-1.1.0")
    carried_out(shop, promotion)
    assert (promotion.state, shop.serves("production")) == ("rolled-back", "1.0.0"), promotion.outcome
    assert "port in use" in promotion.outcome
    assert "web serves 1.0.0 again" in promotion.outcome
    states = {d.kind: d.state for d in Deployment.objects.filter(promotion=promotion)}
    assert states == {"deploy": "failed", "rollback": "verified"}


def test_a_release_that_is_not_well_goes_back(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    shop.ill.add("1.1.0")
    carried_out(shop, promotion)
    assert (promotion.state, shop.serves("production")) == ("rolled-back", "1.0.0"), promotion.outcome
    assert "answers 503" in promotion.outcome
    back = Deployment.objects.get(promotion=promotion, kind="rollback")
    assert (back.state, back.actor, back.release.version) == ("verified", None, "1.0.0")
    assert Deployment.objects.get(promotion=promotion, kind="deploy").state == "rolled-back"
    kinds = list(Notification.objects.order_by("id").values_list("kind", flat=True))
    assert kinds[-2:] == ["promotion.rolling_back", "promotion.rolled_back"]


def guard(outcomes: list[GateOutcome]) -> Callable[[], int]:
    """Registers a soak gate that gives these outcomes one after the other, then passes; returns how often it was asked."""
    asked = []

    @gate("error-rate-test", title="Error rate", order=20, phase=Phase.SOAK)
    def error_rate(promotion: Promotion) -> GateReport:
        asked.append(1)
        number = len(asked) - 1
        outcome = outcomes[number] if number < len(outcomes) else GateOutcome.PASS
        return GateReport(outcome=outcome, summary=f"look {number}")

    return lambda: len(asked)


FAIL, PASS, INCONCLUSIVE = GateOutcome.FAIL, GateOutcome.PASS, GateOutcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("outcomes", "ends", "asked"),
    [
        ([FAIL, FAIL], "rolled-back", 2),
        ([FAIL, PASS], "succeeded", 2),
        ([INCONCLUSIVE], "succeeded", 1),
        ([FAIL, INCONCLUSIVE], "succeeded", 2),
    ],
)
def test_the_guard_trips_after_two_bad_looks(shop: Shop, outcomes: list[GateOutcome], ends: str, asked: int) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    looks = guard(outcomes)
    carried_out(shop, promotion)
    assert (promotion.state, looks()) == (ends, asked), promotion.outcome
    assert shop.serves("production") == ("1.0.0" if ends == "rolled-back" else "1.1.0")
    if outcomes == [INCONCLUSIVE]:
        assert "Not judged: Error rate" in promotion.outcome


def test_a_rollback_that_fails_is_reported_and_not_tried_again(shop: Shop) -> None:
    shop.started()
    promotion = shop.requested("1.1.0")
    shop.ill.add("1.1.0")
    shop.switch("fail-restart-1.0.0")
    carried_out(shop, promotion)
    assert promotion.state == "rollback-failed"
    assert Notification.objects.filter(kind="promotion.rollback_failed").count() == 1
    before = shop.effects
    drain()
    assert shop.effects == before
    with pytest.raises(Conflict):
        promotions.roll_back(promotion=promotion, actor=shop.cast["bob"], reason="Again!")
    promotions.decide_unknown(promotion=promotion, actor=shop.cast["bob"], verdict="rolled-back", evidence="Restarted by hand.")
    promotion.refresh_from_db()
    assert promotion.state == "rolled-back"


class Before:
    """A step that comes before the deployment and does what the test says."""

    key, title, order = "before", "Before", 20

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem, self.undone = problem, 0

    def applies(self, promotion: Promotion) -> bool:
        return promotion.target.name == "production"

    def apply(self, context: StepContext) -> dict[str, object]:
        if self.problem is not None:
            raise self.problem
        return {"done": True}

    def undo(self, context: StepContext) -> dict[str, object]:
        self.undone += 1
        return {"kept": "The migration stays."}


def test_a_step_that_fails_before_anything_was_deployed_ends_it(shop: Shop) -> None:
    shop.started()
    register_step(Before(StepFailed("lock timeout")))
    promotion = carried_out(shop, shop.requested("1.1.0"))
    assert (promotion.state, shop.serves("production")) == ("failed", "1.0.0")
    assert "lock timeout" in promotion.outcome
    assert [(run.key, run.state) for run in promotion.steps.all()] == [
        ("before", "failed"),
        ("deploy", "pending"),
        ("verify", "pending"),
    ]


def test_earlier_steps_are_asked_to_take_back_last_and_say_what_stays(shop: Shop) -> None:
    shop.started()
    step = Before()
    register_step(step)
    promotion = shop.requested("1.1.0")
    shop.ill.add("1.1.0")
    carried_out(shop, promotion)
    assert (promotion.state, step.undone) == ("rolled-back", 1)
    assert promotion.outcome.endswith("The migration stays.")


@pytest.mark.parametrize("problem", [OutcomeUnknown("the connection broke at COMMIT"), ZeroDivisionError("a bug")])
def test_what_is_unknown_waits_for_an_operator_and_holds_the_environment(shop: Shop, problem: Exception) -> None:
    shop.started()
    step = Before(problem)
    register_step(step)
    promotion = carried_out(shop, shop.requested("1.1.0"))
    assert (promotion.state, shop.serves("production")) == ("needs-operator", "1.0.0")
    with pytest.raises(ServiceError, match="Say what you looked at"):
        promotions.decide_unknown(promotion=promotion, actor=shop.cast["bob"], verdict="took-effect", evidence=" ")
    with pytest.raises(NotAllowed):
        promotions.decide_unknown(promotion=promotion, actor=shop.cast["alice"], verdict="took-effect", evidence="I guess.")
    with pytest.raises(ServiceError, match="verdict"):
        promotions.decide_unknown(promotion=promotion, actor=shop.cast["bob"], verdict="maybe", evidence="Hm.")
    promotions.decide_unknown(promotion=promotion, actor=shop.cast["bob"], verdict="took-effect", evidence="The column is there.")
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, shop.serves("production")) == ("succeeded", "1.1.0")


LEAK = "postgresql://shop:hunter2@db/shop does not answer"


@pytest.mark.parametrize("problem", [OutcomeUnknown(LEAK), ValueError(LEAK), StepFailed(LEAK)])
def test_what_went_wrong_is_kept_without_credentials(shop: Shop, problem: Exception) -> None:
    """Drivers and programs quote addresses; every row that a page or a message shows is looked at."""
    shop.started()
    step = Before(problem)
    register_step(step)
    promotion = carried_out(shop, shop.requested("1.1.0"))
    shown = [str(list(model.objects.values())) for model in (Promotion, StepRun, AuditEvent, Notification, Job, Deployment)]
    assert "postgresql://***@db/shop" in promotion.outcome
    assert "hunter2" not in "".join(shown)


def test_a_step_that_had_no_effect_is_done_again(shop: Shop) -> None:
    shop.started()
    step = Before(OutcomeUnknown("who knows"))
    register_step(step)
    promotion = carried_out(shop, shop.requested("1.1.0"))
    step.problem = None
    promotions.decide_unknown(promotion=promotion, actor=shop.cast["bob"], verdict="no-effect", evidence="The column is missing.")
    drain()
    promotion.refresh_from_db()
    assert promotion.state == "succeeded"


def test_a_person_rolls_a_succeeded_promotion_back(shop: Shop) -> None:
    shop.started()
    promotion = carried_out(shop, shop.requested("1.1.0"))
    with pytest.raises(NotAllowed):
        promotions.roll_back(promotion=promotion, actor=shop.cast["alice"], reason="I want it.")
    with pytest.raises(ServiceError, match="needs a reason"):
        promotions.roll_back(promotion=promotion, actor=shop.cast["bob"], reason="")
    promotions.roll_back(promotion=promotion, actor=shop.cast["bob"], reason="Invoices are wrong.")
    drain()
    promotion.refresh_from_db()
    assert (promotion.state, shop.serves("production")) == ("rolled-back", "1.0.0")
    assert promotion.outcome.startswith("Invoices are wrong. Rolled back.")
    back = Deployment.objects.get(promotion=promotion, kind="rollback")
    assert (back.actor, back.state) == (shop.cast["bob"], "verified")
    with pytest.raises(Conflict, match="nothing of it to roll back"):
        promotions.roll_back(promotion=promotion, actor=shop.cast["bob"], reason="Once more.")


def test_the_newest_goes_back_first(shop: Shop) -> None:
    shop.started()
    older = carried_out(shop, shop.requested("1.1.0"))
    newer = carried_out(shop, shop.requested("1.2.0"))
    with pytest.raises(Conflict, match="roll that one back first"):
        promotions.roll_back(promotion=older, actor=shop.cast["bob"], reason="It was this one.")
    for promotion in (newer, older):
        promotions.roll_back(promotion=promotion, actor=shop.cast["bob"], reason="Both are bad.")
        drain()
    assert shop.serves("production") == "1.0.0"
    assert [d.release.version for d in Deployment.objects.filter(component__environment=shop.production, state="verified")] == [
        "1.0.0"
    ]


def test_a_way_back_that_is_gone_is_said_before_anything_is_touched(shop: Shop) -> None:
    shop.started()
    promotion = carried_out(shop, shop.requested("1.1.0"))
    (shop.releases_dir / "shop/production/web/releases/1.0.0/.evenkeel.json").unlink()
    with pytest.raises(Conflict, match="no way back"):
        promotions.roll_back(promotion=promotion, actor=shop.cast["bob"], reason="Invoices are wrong.")
    promotion.refresh_from_db()
    assert promotion.state == "succeeded"


def test_several_components_go_up_and_back_in_order(shop: Shop) -> None:
    for environment in (shop.staging, shop.production):
        Component.objects.create(
            environment=environment,
            name="site",
            kind="frontend",
            provider="command",
            settings={"prepare": "make-ready", "restart": "take-over"},
        )
    artifacts = {"web": "w", "site": "s"}
    release = shop.release("1.0.0", artifacts=artifacts)
    for environment in (shop.staging, shop.production):
        promotions.initial_deployment(release=release, environment=environment, actor=shop.cast["bob"])
    drain()
    shop.diagnosed()
    promotion = shop.requested("1.1.0", artifacts=artifacts)
    shop.ill.add("1.1.0")
    carried_out(shop, promotion)
    assert promotion.state == "rolled-back", promotion.outcome
    order = [(d.kind, d.component.name) for d in Deployment.objects.filter(promotion=promotion).order_by("id")]
    assert order == [("deploy", "web"), ("deploy", "site"), ("rollback", "site"), ("rollback", "web")]
    assert (shop.serves("production"), shop.serves("production", "site")) == ("1.0.0", "1.0.0")


def test_the_registry_refuses_two_of_a_name() -> None:
    with pytest.raises(ValueError, match="twice"):
        register_step(extension.steps()[0])
