"""A reference leads to one allowed secret and to nothing else; no message ever holds a value."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from controlplane.core import secretrefs
from controlplane.core.secretrefs import SecretReferenceError


@pytest.fixture
def secrets(settings: Any, tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    directory.mkdir()
    settings.EVENKEEL_SECRETS_DIR = directory
    return directory


def test_an_allowed_variable_is_read_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_A", " first ")
    assert secretrefs.resolve("env:TARGET_A") == "first"
    monkeypatch.setenv("TARGET_A", "second")
    assert secretrefs.resolve("env:TARGET_A") == "second"


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "SECRET_KEY", "EVENKEEL_SCRATCH_DATABASE_URL"])
def test_our_own_keys_are_refused_even_when_they_are_allowed(name: str, settings: Any) -> None:
    settings.EVENKEEL_SECRET_ENV_NAMES = [name]
    settings.EVENKEEL_SECRET_ENV_PREFIXES = [name[:3]]
    with pytest.raises(SecretReferenceError, match="own keys") as caught:
        secretrefs.resolve(f"env:{name}")
    assert os.environ[name] not in str(caught.value)


def test_our_own_key_is_refused_by_its_value_too(monkeypatch: pytest.MonkeyPatch, settings: Any, secrets: Path) -> None:
    monkeypatch.setenv("TARGET_COPY", settings.SECRET_KEY)
    (secrets / "copy").write_text(settings.SECRET_KEY + "\n")
    for reference in ("env:TARGET_COPY", "file:copy"):
        with pytest.raises(SecretReferenceError, match="own SECRET_KEY") as caught:
            secretrefs.resolve(reference)
        assert settings.SECRET_KEY not in str(caught.value)


@pytest.mark.parametrize("name", ["HOME", "PATH", "target_a", "XTARGET_A", "AWS_SECRET_ACCESS_KEY"])
def test_other_variables_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(SecretReferenceError, match="not allowed") as caught:
        secretrefs.resolve(f"env:{name}")
    assert "hunter2" not in str(caught.value)


def test_a_listed_variable_is_allowed(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.EVENKEEL_SECRET_ENV_NAMES = ["SHOP_DSN"]
    monkeypatch.setenv("SHOP_DSN", "x")
    assert secretrefs.resolve("env:SHOP_DSN") == "x"


def test_an_empty_prefix_allows_nothing(settings: Any) -> None:
    settings.EVENKEEL_SECRET_ENV_PREFIXES = [""]
    with pytest.raises(SecretReferenceError, match="not allowed"):
        secretrefs.check("env:HOME")


@pytest.mark.parametrize("value", [None, "", "  \n"])
def test_a_missing_or_empty_variable_is_told(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TARGET_GONE", raising=False)
    if value is not None:
        monkeypatch.setenv("TARGET_GONE", value)
    with pytest.raises(SecretReferenceError, match="env:TARGET_GONE is not set, or empty"):
        secretrefs.resolve("env:TARGET_GONE")


@pytest.mark.parametrize(
    "text",
    ["", "hunter2", "postgresql://u:hunter2@h/d", "ENV:TARGET_A", "env:", "file:", " env:TARGET_A", "env:A B", "env:hunter2;x"],
)
def test_what_is_no_reference_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SecretReferenceError) as caught:
        secretrefs.check(text)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValidationError):
        secretrefs.validate_reference(text)


def test_a_file_below_the_directory_is_read(secrets: Path) -> None:
    (secrets / "shop").mkdir()
    (secrets / "shop" / "dsn").write_text("postgresql://x\n")
    assert secretrefs.resolve("file:shop/dsn") == "postgresql://x"


@pytest.mark.parametrize(
    "name", ["../outside", "shop/../../outside", "/etc/passwd", ".", "..", "shop/..", "a\0b", "~/x/../../../outside"]
)
def test_nothing_outside_the_directory_is_read(name: str, secrets: Path) -> None:
    (secrets.parent / "outside").write_text("hunter2")
    with pytest.raises(SecretReferenceError) as caught:
        secretrefs.resolve(f"file:{name}")
    assert "hunter2" not in str(caught.value)


def test_links_may_not_lead_out(secrets: Path) -> None:
    (secrets.parent / "outside").write_text("hunter2")
    (secrets / "link").symlink_to(secrets.parent / "outside")
    (secrets / "folder").symlink_to(secrets.parent)
    (secrets / "loop").symlink_to(secrets / "loop")
    for name in ("link", "folder/outside", "loop"):
        with pytest.raises(SecretReferenceError):
            secretrefs.resolve(f"file:{name}")


def test_links_inside_are_fine(secrets: Path) -> None:
    """As Kubernetes mounts secrets: name -> ..data/name."""
    (secrets / "..data").mkdir()
    (secrets / "..data" / "dsn").write_text("x")
    (secrets / "dsn").symlink_to(secrets / "..data" / "dsn")
    assert secretrefs.resolve("file:dsn") == "x"


def test_what_is_no_readable_text_file_is_told(secrets: Path) -> None:
    (secrets / "folder").mkdir()
    os.mkfifo(secrets / "pipe")  # reading it would wait for ever
    (secrets / "binary").write_bytes(b"\xff\xfehunter2")
    (secrets / "empty").write_text(" \n")
    for name in ("folder", "pipe", "binary", "empty", "missing", "n" * 300):
        with pytest.raises(SecretReferenceError) as caught:
            secretrefs.resolve(f"file:{name}")
        assert "hunter2" not in str(caught.value)


def test_fingerprints_tell_secrets_apart_and_need_the_key(settings: Any) -> None:
    first = secretrefs.fingerprint("hunter2")
    assert first == secretrefs.fingerprint("hunter2") != secretrefs.fingerprint("hunter3")
    assert len(first) == 12
    settings.SECRET_KEY = "another"
    assert secretrefs.fingerprint("hunter2") != first


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgresql://shop:hunter2@db/shop is down", "postgresql://***@db/shop is down"),
        ("redis://:hunter2@cache:6379/0", "redis://***@cache:6379/0"),
        ("https://hunter2@sentry.example/1", "https://***@sentry.example/1"),
        ("postgresql://u:a/hunter2@db/x", "postgresql://***@db/x"),
        ("host=db password=hunter2 user=u", "host=db password=*** user=u"),
        ("PGPASSWORD='hunter2 x' pg_dump", "PGPASSWORD=*** pg_dump"),
        ("mail to alice@example.org, see https://example.org/path", "mail to alice@example.org, see https://example.org/path"),
    ],
)
def test_credentials_are_withheld_from_other_programs_words(text: str, kept: str) -> None:
    assert secretrefs.withhold(text) == kept
