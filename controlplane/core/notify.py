"""Notifications: the outbox row first, in the transaction of the event; sending is a task of its own, through Apprise."""

from __future__ import annotations

import logging
from datetime import timedelta

import apprise
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from controlplane.core import broker, secretrefs
from controlplane.core.models import DeliveryState, Notification, NotificationChannel, NotificationDelivery

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 6
FIRST_RETRY = timedelta(seconds=30)


def publish(*, kind: str, title: str, body: str = "", link: str = "", dedupe_key: str) -> Notification | None:
    """Writes one notification for every channel that wants its kind. Returns None when the key was used before."""
    with transaction.atomic():
        notification, created = Notification.objects.get_or_create(
            dedupe_key=dedupe_key[:200],
            defaults={"kind": kind, "title": title[:200], "body": secretrefs.withhold(body), "link": link[:300]},
        )
        if not created:
            return None
        channels = [
            channel for channel in NotificationChannel.objects.filter(enabled=True) if not channel.kinds or kind in channel.kinds
        ]
        NotificationDelivery.objects.bulk_create(
            NotificationDelivery(notification=notification, channel=channel) for channel in channels
        )
        if channels:
            transaction.on_commit(_wake_sender, robust=True)
    return notification


def deliver_due(limit: int = 100) -> int:
    """Sends what is due and returns how many were sent. A delivery is claimed first, so that no two senders send it."""
    sent = 0
    due = NotificationDelivery.objects.filter(
        state=DeliveryState.PENDING, next_attempt_at__lte=timezone.now(), channel__enabled=True
    )
    for delivery in due.select_related("notification", "channel").order_by("next_attempt_at")[:limit]:
        # Counted from now: earlier messages of this round may have taken their time.
        retry_at = timezone.now() + FIRST_RETRY * 2**delivery.attempts
        claimed = NotificationDelivery.objects.filter(
            pk=delivery.pk, attempts=delivery.attempts, state=DeliveryState.PENDING
        ).update(attempts=delivery.attempts + 1, next_attempt_at=retry_at)
        if claimed:
            sent += _send(delivery)
    return sent


def _send(delivery: NotificationDelivery) -> int:
    notification = delivery.notification
    error = ""
    try:
        target = apprise.Apprise()
        if not target.add(secretrefs.resolve(delivery.channel.url_ref)):
            error = "The channel's URL is not one that Apprise understands."
        else:
            link = (
                f"\n{settings.EVENKEEL_BASE_URL}{notification.link}" if notification.link and settings.EVENKEEL_BASE_URL else ""
            )
            if not target.notify(
                title=f"[{settings.EVENKEEL_INSTANCE}] {notification.title}",
                body=(notification.body or notification.title) + link,
            ):
                error = "The service did not accept the message."
    except secretrefs.SecretReferenceError as missing:
        error = str(missing)
    except Exception as failure:  # noqa: BLE001 - one channel's plug-in must not keep the others waiting; its message may hold the address
        error = f"The channel's plug-in failed: {type(failure).__name__}."
    attempts = delivery.attempts + 1
    values: dict[str, object] = {"state": DeliveryState.SENT, "sent_at": timezone.now(), "error": ""}
    if error:
        state = DeliveryState.FAILED if attempts >= MAX_ATTEMPTS else DeliveryState.PENDING
        values = {"state": state, "error": error[:300]}
        logger.warning("Notification %s to %s: %s (attempt %s)", notification.pk, delivery.channel, error, attempts)
    NotificationDelivery.objects.filter(pk=delivery.pk).update(**values)
    return 0 if error else 1


def _wake_sender() -> None:
    from controlplane.core.tasks import deliver_notifications

    try:
        deliver_notifications.apply_async(retry=False)
    except broker.UNREACHABLE:
        logger.warning("The broker can't be reached; the sweeper will send the notifications.")
