"""The first deployment of an environment needs no approval, happens once, and is in the trail."""

from __future__ import annotations

import pytest

from controlplane.core.models import AuditEvent, Job, Notification
from environments.models import Deployment
from environments.services import promotions
from environments.services.errors import Conflict, NotAllowed, ServiceError
from tests.environments.delivery.conftest import Shop, drain

pytestmark = pytest.mark.usefixtures("only_delivery")


def test_it_is_verified_and_audited(shop: Shop) -> None:
    release = shop.release("1.0.0")
    job = promotions.initial_deployment(release=release, environment=shop.production, actor=shop.cast["bob"])
    drain()
    job.refresh_from_db()
    assert (job.state, shop.serves("production")) == ("succeeded", "1.0.0"), job.error
    deployment = Deployment.objects.get()
    assert (deployment.kind, deployment.state, deployment.promotion) == ("initial", "verified", None)
    event = AuditEvent.objects.get(action="environment.initial_deployment")
    assert (event.actor_name, event.data) == ("bob", {"deployments": [deployment.pk]})


def test_it_happens_once(shop: Shop) -> None:
    release = shop.release("1.0.0")
    promotions.initial_deployment(release=release, environment=shop.production, actor=shop.cast["bob"])
    with pytest.raises(Conflict, match="under way"):
        promotions.initial_deployment(release=release, environment=shop.production, actor=shop.cast["bob"])
    drain()
    other = shop.release("1.1.0")
    with pytest.raises(Conflict, match="by a promotion"):
        promotions.initial_deployment(release=other, environment=shop.production, actor=shop.cast["bob"])
    with pytest.raises(NotAllowed):
        promotions.initial_deployment(release=other, environment=shop.staging, actor=shop.cast["alice"])
    assert Deployment.objects.count() == 1


def test_one_that_failed_can_be_made_again(shop: Shop) -> None:
    release = shop.release("1.0.0")
    shop.switch("fail-prepare")
    promotions.initial_deployment(release=release, environment=shop.staging, actor=shop.cast["bob"])
    (job,) = drain()
    assert (job.state, "no such image" in job.error) == ("failed", True)
    assert Notification.objects.filter(kind="deployment.failed").count() == 1
    shop.switch("fail-prepare", on=False)
    promotions.initial_deployment(release=release, environment=shop.staging, actor=shop.cast["bob"])
    drain()
    assert shop.serves("staging") == "1.0.0"


def test_it_needs_something_to_deploy(shop: Shop) -> None:
    release = shop.release("1.0.0", artifacts={})
    with pytest.raises(ServiceError, match="no artifact"):
        promotions.initial_deployment(release=release, environment=shop.staging, actor=shop.cast["bob"])
    assert not Job.objects.exists()
