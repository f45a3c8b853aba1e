"""The roof. ``VERSION`` is that of pyproject.toml (a test keeps them equal)."""

VERSION = "0.1.0"
