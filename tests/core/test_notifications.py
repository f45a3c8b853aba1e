"""The outbox: written with the event, sent once a channel, tried again, and given up with its reason."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from controlplane.core import notify
from controlplane.core.models import DeliveryState, Notification, NotificationChannel, NotificationDelivery


class Receiver(http.server.BaseHTTPRequestHandler):
    messages: list[dict[str, Any]] = []
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).messages.append(json.loads(body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Receiver]]:
    """A web hook on loopback, with an Apprise URL behind env:TARGET_HOOK."""
    Receiver.messages, Receiver.status = [], 200
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("TARGET_HOOK", f"json://127.0.0.1:{server.server_port}/hook")
    yield Receiver
    server.shutdown()
    server.server_close()


def channel(name: str = "hook", url_ref: str = "env:TARGET_HOOK", **values: Any) -> NotificationChannel:
    return NotificationChannel.objects.create(name=name, url_ref=url_ref, **values)


def publish(key: str = "k", kind: str = "job.failed") -> Notification | None:
    return notify.publish(kind=kind, title="A job failed", body="Its reason", link="/admin/", dedupe_key=key)


def make_due() -> None:
    NotificationDelivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.django_db
def test_it_is_sent_once(receiver: type[Receiver], settings: Any) -> None:
    settings.EVENKEEL_BASE_URL = "https://evenkeel.example"
    channel()
    publish()
    assert [notify.deliver_due(), notify.deliver_due()] == [1, 0]
    [message] = receiver.messages
    assert message["title"] == "[tests] A job failed"
    assert message["message"] == "Its reason\nhttps://evenkeel.example/admin/"
    assert NotificationDelivery.objects.get().state == DeliveryState.SENT


@pytest.mark.django_db
def test_the_same_event_is_told_once(receiver: type[Receiver]) -> None:
    channel()
    assert publish("same") is not None
    assert publish("same") is None
    assert notify.deliver_due() == 1


@pytest.mark.django_db
def test_channels_get_the_kinds_that_they_want(receiver: type[Receiver]) -> None:
    channel("all")
    channel("failures", kinds=["job.failed"])
    channel("promotions", kinds=["promotion.awaiting"])
    channel("off", enabled=False)
    publish()
    assert sorted(NotificationDelivery.objects.values_list("channel__name", flat=True)) == ["all", "failures"]
    NotificationChannel.objects.filter(name="all").update(enabled=False)
    assert notify.deliver_due() == 1


@pytest.mark.django_db
def test_a_refused_message_is_tried_again_with_growing_pauses_and_then_given_up(receiver: type[Receiver]) -> None:
    receiver.status = 500
    channel()
    publish()
    pauses = []
    for _ in range(notify.MAX_ATTEMPTS):
        make_due()
        assert notify.deliver_due() == 0
        delivery = NotificationDelivery.objects.get()
        pauses.append(round((delivery.next_attempt_at - timezone.now()).total_seconds() / 30))
    assert pauses == [1, 2, 4, 8, 16, 32]
    assert (delivery.state, delivery.error) == (DeliveryState.FAILED, "The service did not accept the message.")
    make_due()
    assert notify.deliver_due() == 0
    assert len(receiver.messages) == notify.MAX_ATTEMPTS


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, "env:TARGET_OTHER is not set"),
        ("nonsense-hunter2", "not one that Apprise understands"),
        ("xyz://hunter2@h", "not one"),
    ],
)
def test_a_bad_channel_keeps_no_other_waiting(
    value: str | None, error: str, receiver: type[Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    if value:
        monkeypatch.setenv("TARGET_OTHER", value)
    channel("bad", "env:TARGET_OTHER")
    channel("good")
    publish()
    assert notify.deliver_due() == 1
    bad = NotificationDelivery.objects.get(channel__name="bad")
    assert (bad.state, error in bad.error, "hunter2" in bad.error) == (DeliveryState.PENDING, True, False)


@pytest.mark.django_db(transaction=True)
def test_two_senders_at_once_send_it_once(receiver: type[Receiver]) -> None:
    channel()
    for number in range(5):
        publish(str(number))
    barrier, sent = threading.Barrier(3), []

    def send() -> None:
        barrier.wait(10)
        try:
            sent.append(notify.deliver_due())
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(sent), len(receiver.messages)) == (5, 5)
