"""Job kinds of this app, one line each; imported at start-up."""

from migrations_registry import proof_jobs as _proofs  # noqa: F401
from migrations_registry import run_jobs as _runs  # noqa: F401
from migrations_registry import snapshot_jobs as _snapshots  # noqa: F401
