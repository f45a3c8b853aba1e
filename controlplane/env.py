"""Configuration from the environment, without fallbacks: what must be chosen is chosen, or the start stops with one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

#: Names of the control plane's own keys. A secret reference may never point at one of them.
OWN_KEYS = frozenset({"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "EVENKEEL_SCRATCH_DATABASE_URL", "EVENKEEL_METRICS_TOKEN"})


class Env(environ.Env):  # type: ignore[misc]
    """django-environ, with :meth:`required` for values that have no sensible default."""

    def required(self, name: str) -> str:
        """The value of ``name``; raises ImproperlyConfigured when it is missing or empty."""
        value = str(self.ENVIRON.get(name, "")).strip()
        if not value:
            state = "is empty" if name in self.ENVIRON else "is not set"
            raise ImproperlyConfigured(f"{name} {state}. Set it in the environment; there is no default.")
        return value

    def postgres(self, name: str) -> dict[str, Any]:
        """Django's database settings from a PostgreSQL URL; raises ImproperlyConfigured for any other kind."""
        url = self.required(name)
        if urlsplit(url).scheme not in ("postgres", "postgresql"):
            raise ImproperlyConfigured(f"{name} must be a postgresql:// URL. No other database can hold Evenkeel's state.")
        config = dict(self.db_url_config(url))
        if not config["NAME"]:
            raise ImproperlyConfigured(f"{name} names no database.")
        config["ENGINE"] = "django.db.backends.postgresql"
        return config

    def redis(self, name: str) -> str:
        """A redis:// or rediss:// URL; raises ImproperlyConfigured for anything else (an empty one would mean AMQP)."""
        url = self.required(name)
        if urlsplit(url).scheme not in ("redis", "rediss", "unix", "redis+socket"):
            raise ImproperlyConfigured(f"{name} must be a redis:// or rediss:// URL.")
        if urlsplit(url).scheme in ("redis", "rediss") and not urlsplit(url).hostname:
            raise ImproperlyConfigured(f"{name} names no host.")
        return url

    def at_least(self, name: str, least: int, *, default: int) -> int:
        """A whole number; raises ImproperlyConfigured for what is none, or smaller."""
        text = self.str(name, default=str(default)).strip()
        if not text.isascii() or not text.isdecimal() or int(text) < least:
            raise ImproperlyConfigured(f"{name} must be a whole number, {least} or more, not {text[:20]!r}.")
        return int(text)

    def directory(self, name: str, default: Path) -> Path:
        return Path(self.str(name, default=str(default))).resolve()

    def commands(self, name: str) -> Mapping[str, dict[str, Any]]:
        """The allow-list of deployment commands: a JSON file, name -> {"argv": [...], "timeout_seconds": int}.

        The file is read at start, so that nothing in the database can add a command. Raises ImproperlyConfigured when it
        is named and can't be used.
        """
        path = self.str(name, default="")
        if not path:
            return {}
        try:
            loaded = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise ImproperlyConfigured(f"{name} names {path}, which can't be read as JSON: {error}") from error
        if not isinstance(loaded, dict) or not all(_is_command(entry) for entry in loaded.values()):
            raise ImproperlyConfigured(f'{name}: every entry of {path} must be {{"argv": [words], "timeout_seconds": number}}.')
        return loaded


def stop_unless_configured(exit_code: int = 1) -> None:
    """Loads the settings; when they can't be, ends this process with one line on stderr instead of a traceback."""
    try:
        settings.INSTALLED_APPS  # noqa: B018 - the first look loads them all
    except ImproperlyConfigured as error:
        sys.stderr.write(f"Evenkeel is not configured: {error}\n")
        sys.exit(exit_code)


def _is_command(entry: object) -> bool:
    if not isinstance(entry, dict) or set(entry) - {"argv", "timeout_seconds"}:
        return False
    argv = entry.get("argv")
    timeout = entry.get("timeout_seconds", 1)
    return isinstance(argv, list) and bool(argv) and all(isinstance(w, str) for w in argv) and isinstance(timeout, int)
