"""The table of rules: what kind, how bad, what the user is told."""

from __future__ import annotations

import pytest

from errors import intake
from errors.classify import DEFAULT, RULES, classify, sqlstate_of
from errors.models import Category, ErrorSeverity


@pytest.mark.parametrize(
    ("type", "message", "state", "status", "expected"),
    [
        ("OperationalError", "", "08006", 0, ("database", "critical")),
        ("AdminShutdown", "", "57P01", 0, ("database", "critical")),
        ("QueryCanceled", "", "57014", 0, ("database", "medium")),
        ("DeadlockDetected", "", "40P01", 0, ("database", "medium")),
        ("UniqueViolation", "", "23505", 0, ("validation", "low")),
        ("UndefinedColumn", "", "42703", 0, ("database", "high")),
        ("InvalidPassword", "", "28P01", 0, ("configuration", "critical")),
        ("HttpError", "", "", 401, ("authentication", "medium")),
        ("HttpError", "", "", 422, ("validation", "low")),
        ("HttpError", "", "", 503, ("external", "high")),
        ("ReadTimeout", "", "", 0, ("network", "high")),
        ("ConnectionRefusedError", "", "", 0, ("network", "high")),
        ("Error", "connect ECONNREFUSED 10.0.0.1:80", "", 0, ("network", "high")),
        ("ImproperlyConfigured", "", "", 0, ("configuration", "high")),
        ("ValidationError", "", "", 0, ("validation", "low")),
        ("PermissionDenied", "", "", 0, ("authentication", "medium")),
        ("KeyError", "", "", 0, ("unknown", "medium")),
    ],
)
def test_rules(type: str, message: str, state: str, status: int, expected: tuple[str, str]) -> None:
    found = classify(type=type, message=message, sqlstate=state, status=status)
    assert (found.category, found.severity) == expected
    assert found.user_message


def test_what_nobody_caught_is_worse_except_bad_input() -> None:
    assert classify(type="KeyError", message="", handled=False).severity == "high"
    assert classify(type="ValidationError", message="", handled=False).severity == "low"


def test_the_words_are_those_of_the_models() -> None:
    used = [rule.then for rule in RULES] + [DEFAULT]
    assert {one.category for one in used} <= set(Category.values)
    assert {one.severity for one in used} <= set(ErrorSeverity.values)
    assert set(intake.CATEGORIES) == set(Category.values)
    assert set(intake.SEVERITIES) == set(ErrorSeverity.values)


@pytest.mark.parametrize(
    ("type", "message", "given", "expected"),
    [
        ("X", "", "23505", "23505"),
        ("X", "", "not one", ""),
        ("psycopg.errors.UniqueViolation", "", None, "23505"),
        ("PDOException", "SQLSTATE[42P01]: undefined table", None, "42P01"),
        ("OperationalError", 'connection to server at "x" failed: Connection refused', None, "08006"),
        ("OperationalError", "something else", None, ""),
        ("", "", 5, ""),
    ],
)
def test_the_sqlstate_is_found(type: str, message: str, given: object, expected: str) -> None:
    assert sqlstate_of(type=type, message=message, given=given) == expected
