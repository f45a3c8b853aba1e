"""What every command has in common: exit 0 for clean, 2 for findings, 1 for errors, wrong usage among them."""

from __future__ import annotations

from argparse import ArgumentTypeError

from django.core.management.base import BaseCommand

USAGE_ERROR_OF_ARGPARSE = 2
MOST_ROWS = 100_000


def row_count(text: str) -> int:
    """For ``--limit``: a number of rows that can be shown."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST_ROWS:
        raise ArgumentTypeError(f"must be 1 to {MOST_ROWS}, not {text[:20]!r}")
    return int(text)


class EvenkeelCommand(BaseCommand):
    """The base of all of Evenkeel's commands."""

    def run_from_argv(self, argv: list[str]) -> None:
        # argparse leaves with 2 for wrong usage, which here means "findings": look at the words first, and leave with 1.
        self._called_from_command_line = True
        try:
            self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except SystemExit as stop:
            raise SystemExit(1 if stop.code == USAGE_ERROR_OF_ARGPARSE else stop.code) from None
        super().run_from_argv(argv)
