"""Engine: one snapshot of a database's catalogue as plain values. Plain Python; nothing here knows Django."""

from environments.catalog.document import DocumentError, dump, fingerprint, load
from environments.catalog.reader import CatalogError, read_snapshot
from environments.catalog.values import Snapshot

__all__ = ["CatalogError", "DocumentError", "Snapshot", "dump", "fingerprint", "load", "read_snapshot"]
