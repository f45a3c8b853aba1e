"""What processes say on stderr."""

from __future__ import annotations

import logging

from controlplane.core import secretrefs


class Formatter(logging.Formatter):
    """Leaves the credentials out of addresses, in messages and in tracebacks: a driver's exception may quote its whole DSN."""

    def format(self, record: logging.LogRecord) -> str:
        return secretrefs.withhold(super().format(record))
