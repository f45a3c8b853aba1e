"""Engine: two snapshots -> what differs, the SQL that levels it, and the proof that it does. Plain Python without Django."""

from migrations_registry.schema.compare import BETWEEN_ENVIRONMENTS, Difference, DiffResult, Selection, diff
from migrations_registry.schema.renames import Rename, suggest_renames
from migrations_registry.schema.repair import HeldBack, Repair, repair

__all__ = [
    "BETWEEN_ENVIRONMENTS",
    "DiffResult",
    "Difference",
    "HeldBack",
    "Rename",
    "Repair",
    "Selection",
    "diff",
    "repair",
    "suggest_renames",
]
