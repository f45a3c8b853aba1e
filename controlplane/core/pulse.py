"""Signs of life of the background processes, as rows: each is overwritten, so their age is what counts."""

from __future__ import annotations

from django.utils import timezone

from controlplane.core.models import Pulse

#: Written by ``core.sweep``: beat sent it, the broker carried it and a worker ran it.
SWEEP = "sweep"


def beat(name: str) -> None:
    Pulse.objects.update_or_create(name=name, defaults={"at": timezone.now()})
