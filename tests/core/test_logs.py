"""No secret is logged, whoever quotes it."""

from __future__ import annotations

import io
import logging

import pytest
from django.conf import settings
from django.utils.module_loading import import_string


@pytest.fixture
def written() -> io.StringIO:
    """What a logger with the formatter of the settings writes."""
    return io.StringIO()


def test_messages_and_tracebacks_lose_their_credentials(written: io.StringIO) -> None:
    described = dict(settings.LOGGING["formatters"]["line"])
    handler = logging.StreamHandler(written)
    handler.setFormatter(import_string(described.pop("()"))(described["format"]))
    logger = logging.Logger("test")
    logger.addHandler(handler)
    address = "postgresql://shop:hunter2@db/shop"
    try:
        raise ValueError(f"can't connect to {address}")
    except ValueError:
        logger.exception("Job %s failed: %s", 7, address)
    assert "hunter2" not in written.getvalue()
    assert written.getvalue().count("postgresql://***@db/shop") == 2
    assert "Traceback" in written.getvalue()
