"""No page asks the database more often with 10,000 deployments and 1,000 promotions than with 100 and 10."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from environments.models import Deployment, Promotion
from tests.browser.rows import World
from tests.environments.admin.urls import list_url, page_url


def fill(world: World, cast: dict[str, Any], deployments: int, promotions: int) -> None:
    now = timezone.now()
    release, component = world.rows["release"], world.rows["component"]
    Promotion.objects.bulk_create(
        Promotion(
            release=release, source=world.staging, target=world.production, requester=cast["alice"], state="succeeded",
            digest="d" * 64, expires_at=now, finished_at=now,
        )
        for _ in range(promotions)
    )  # fmt: skip
    Deployment.objects.bulk_create(
        [
            Deployment(
                release=release, component=component, state="superseded", actor=cast["bob"], live_at=now, intent_key=uuid.uuid4(),
                previous_release=release,
            )
            for _ in range(deployments)
        ],
        batch_size=1000,
    )  # fmt: skip


def counts(client: Client, urls: list[str]) -> dict[str, int]:
    found = {}
    for url in urls:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(url).status_code == 200
        found[url] = len(queries)
    return found


def test_pages_do_not_ask_more_often_with_more_history(
    cast: dict[str, Any], as_user: Callable[[str], Client], world: World
) -> None:
    client = as_user("bob")
    deployments = list_url(Deployment)
    urls = [
        "/admin/", deployments, f"{deployments}?state__exact=superseded", f"{deployments}?q=1.1.0", f"{deployments}?p=2",
        list_url(Promotion), page_url(world.production), page_url(world.rows["component"]), page_url(world.rows["release"]),
        page_url(world.application), page_url(world.pending), page_url(world.done), "/admin/errors/", "/admin/migrations/",
    ]  # fmt: skip
    fill(world, cast, 100, 60)
    counts(client, urls)  # fills the caches of the process: content types
    few = counts(client, urls)
    fill(world, cast, 9_900, 940)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE environments_deployment")
    many = counts(client, urls)
    assert many == few
    assert max(many.values()) < 45, many
