"""References to secrets. Evenkeel stores `env:NAME` or `file:NAME`, never the value, and looks the value up when it is used."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: The part of an address before the host, and libpq's keyword form. Other programs' messages may hold them.
_USER_INFO = re.compile(r"(?<=://)(?:[^\s/@\"'<>]+|[^\s@\"'<>]*:[^\s@\"'<>]*)@")
_PASSWORD = re.compile(r"(?i)\b(password|passwd|pgpassword)(\s*=\s*)('[^']*'|[^\s\"'&;,]+)")


class SecretReferenceError(Exception):
    """A reference that is malformed, not allowed, or leads nowhere. The message never contains a value."""


def check(reference: str) -> None:
    """Raises :class:`SecretReferenceError` unless the reference is well formed and allowed; reads nothing."""
    kind, separator, name = reference.partition(":")
    if not separator or kind not in ("env", "file") or not name:
        raise SecretReferenceError(
            "A secret is given as a reference, env:NAME or file:NAME. What was given is not one, and was not kept."
        )
    if kind == "env":
        _check_env_name(name)
    else:
        _secret_path(name)


def resolve(reference: str) -> str:
    """The value that the reference leads to; raises :class:`SecretReferenceError` when it is missing or empty."""
    check(reference)
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name, "").strip()
        if not value:
            raise SecretReferenceError(f"{reference} is not set, or empty, in the environment of this process.")
        return _not_our_own(reference, value)
    path = _secret_path(name)
    try:
        if not path.is_file():  # reading a pipe would wait for ever
            raise SecretReferenceError(f"{reference} is not there, or not a file.")
        value = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretReferenceError(f"{reference} can't be read: {type(error).__name__}.") from error
    if not value:
        raise SecretReferenceError(f"{reference} is empty.")
    return _not_our_own(reference, value)


def validate_reference(value: str) -> None:
    """For model fields: :func:`check` as a Django validator."""
    try:
        check(value)
    except SecretReferenceError as error:
        raise ValidationError(str(error)) from error


def withhold(text: str) -> str:
    """``text`` without the credentials of the addresses in it, for whatever comes from a driver or a program."""
    return _PASSWORD.sub(r"\1\2***", _USER_INFO.sub("***@", text))


def fingerprint(value: str) -> str:
    """Twelve hex digits that tell equal secrets apart from unequal ones; keyed, so that they can't be guessed from outside."""
    return hmac.new(settings.SECRET_KEY.encode(), b"secret-fingerprint:" + value.encode(), hashlib.sha256).hexdigest()[:12]


def _check_env_name(name: str) -> None:
    if not _ENV_NAME.match(name):
        raise SecretReferenceError("The name behind env: may hold letters, digits and underscores only.")
    if name in settings.EVENKEEL_OWN_KEYS:
        raise SecretReferenceError(f"env:{name} is one of Evenkeel's own keys; a reference may not point at it.")
    allowed_prefix = any(prefix and name.startswith(prefix) for prefix in settings.EVENKEEL_SECRET_ENV_PREFIXES)
    if not allowed_prefix and name not in settings.EVENKEEL_SECRET_ENV_NAMES:
        prefixes = ", ".join(settings.EVENKEEL_SECRET_ENV_PREFIXES) or "none"
        raise SecretReferenceError(
            f"env:{name} is not allowed. Allowed are names that begin with: {prefixes}; "
            "others must be listed in EVENKEEL_SECRET_ENV_NAMES."
        )


def _secret_path(name: str) -> Path:
    """The file below the secrets directory; symbolic links may not lead out of it."""
    base = Path(settings.EVENKEEL_SECRETS_DIR)
    try:
        path = (base / name).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that no file can have
        raise SecretReferenceError("The name behind file: can't be a file's name.") from error
    if not path.is_relative_to(base.resolve()) or path == base.resolve():
        raise SecretReferenceError("A file: reference must stay below the configured secrets directory.")
    return path


def _not_our_own(reference: str, value: str) -> str:
    """The key that signs sessions is never handed out, whatever it is called where the reference leads."""
    if hmac.compare_digest(value.encode(), settings.SECRET_KEY.encode()):
        raise SecretReferenceError(f"{reference} leads to Evenkeel's own SECRET_KEY; a reference may not point at it.")
    return value
