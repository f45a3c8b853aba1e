"""Runs a job of the test's database in a process of its own, which the test then kills. Not a test."""

from __future__ import annotations

import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlplane.settings")
    django.setup()
    from controlplane.core import jobs

    jobs.run(int(sys.argv[1]))
