"""Exit codes are an interface: 2 means findings and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOO_FAR = [["jobs", "list", "--limit", "-1"], ["history", "--limit", "99999999999999999999"]]


@pytest.mark.parametrize("words", [["jobs", "dance"], ["verify_audit", "--nonsense"], ["export"], *TOO_FAR])
def test_wrong_usage_is_an_error_not_a_finding(words: list[str]) -> None:
    result = subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "usage:" in result.stderr
    assert result.stdout == ""


def test_help_is_no_error() -> None:
    assert (
        subprocess.run([sys.executable, "manage.py", "export", "--help"], cwd=ROOT, capture_output=True, check=False).returncode
        == 0
    )
