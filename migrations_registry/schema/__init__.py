"""Engine: two snapshots -> what differs, the SQL that levels it, and the proof that it does. Plain Python without Django."""

from migrations_registry.schema.compare import Difference, DiffResult, Selection, diff

__all__ = ["DiffResult", "Difference", "Selection", "diff"]
