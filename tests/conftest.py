"""What holds for every test: examples that repeat in CI, cheap passwords, and a flush past the trigger of the audit trail."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db.backends.postgresql.operations import DatabaseOperations

# Two runs of CI on one commit say the same; at home every run tries other examples.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords() -> None:
    """Every account of the cast costs a second otherwise, by design."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True, scope="session")
def flush_past_the_audit_trigger() -> None:
    original = DatabaseOperations.execute_sql_flush

    def flush(self: Any, sql_list: Sequence[str]) -> None:
        # Only a superuser may do this, and only for the length of the flush.
        original(self, ["SET LOCAL session_replication_role = replica", *sql_list])

    DatabaseOperations.execute_sql_flush = flush  # type: ignore[method-assign]
