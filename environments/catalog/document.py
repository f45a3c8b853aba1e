"""Snapshots as JSON files, and their fingerprint."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import secrets
import zlib
from pathlib import Path
from typing import Any

from environments.catalog import plain
from environments.catalog.names import dotted
from environments.catalog.values import Snapshot

FORMAT = "evenkeel-snapshot"
#: Rises only when an old file would be misread. A new field needs no new version as long as it has a default: older files
#: lack it and load. A file with fields that this version does not know was made by a newer one, and is refused.
FORMAT_VERSION = 1
#: Ten thousand tables take less than a tenth of it; what is larger is no snapshot, or an archive made to fill the memory.
MAX_BYTES = 512 * 1024 * 1024
_GZIP = b"\x1f\x8b"
#: Escapes that :func:`dump` never writes.
_RARE_ESCAPES = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_KEYED_BY_NAME = (
    "extensions", "event_triggers", "foreign_data_wrappers", "servers", "publications", "subscriptions", "roles",
)  # fmt: skip
_KEYED_BY_SCHEMA_AND_NAME = (
    "tables", "platform_tables", "sequences", "views", "enums", "domains", "composites", "ranges", "collations", "statistics",
    "text_search_configurations", "text_search_dictionaries",
)  # fmt: skip


class DocumentError(Exception):
    """The file or text is not a snapshot that this version can read. The message says what it is and what to do."""


def dump(snapshot: Snapshot) -> str:
    """The snapshot as JSON: the same snapshot gives the same text. Empty values are left out."""
    text = plain.as_text(snapshot)
    return f'{{"format": "{FORMAT}", "version": {FORMAT_VERSION}, "sha256": "{_digest(text)}", "snapshot": {text}}}'


def load(text: str) -> Snapshot:
    """The snapshot from JSON. Raises :class:`DocumentError`."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(
            f"This is not a whole JSON document (line {error.lineno}, column {error.colno}: {error.msg}); "
            "the file may be cut off. Take the snapshot again."
        ) from error
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise DocumentError("This is not a snapshot: no snapshot is nested so deeply or holds such numbers.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DocumentError("This is JSON, but not a snapshot made by `manage.py schema snapshot`.")
    version = document.get("version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise DocumentError(
            f"This snapshot has format version {version!r}; this version of Evenkeel reads version {FORMAT_VERSION}. "
            "Take it again, or use the version of Evenkeel that made it."
        )
    if "sha256" in document and document["sha256"] != _digest(plain.json_text(document.get("snapshot"))):
        raise DocumentError("This snapshot is damaged: its checksum is another one than its content's. Take it again.")
    try:
        if _RARE_ESCAPES.search(text):
            _check_texts(document)
        snapshot: Snapshot = plain.value_of(Snapshot, document.get("snapshot"))
        _check_names(snapshot)
    except plain.UnknownFieldError as error:
        raise DocumentError(
            f"This snapshot was made by a newer version of Evenkeel: {error}. Take it again, or use that version."
        ) from error
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DocumentError(f"This snapshot is damaged: {error}. Take it again.") from error
    return snapshot


def write(snapshot: Snapshot, path: Path) -> None:
    """Writes the snapshot to a file, compressed when its name ends in .gz. Raises OSError.

    An existing file is replaced as a whole or, when anything goes wrong, kept as it is; nothing half written is left behind.
    """
    path = path.resolve()  # of a link, what it leads to
    if path.exists() and not path.is_file():
        raise OSError(None, "it is there and is not a file")
    data = dump(snapshot).encode()
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:  # also when somebody presses Ctrl-C: nothing half written may be left
        beside.unlink(missing_ok=True)
        raise


def read(path: Path) -> Snapshot:
    """The snapshot in a file, compressed or not. Raises :class:`DocumentError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if data.startswith(_GZIP):
            with gzip.open(io.BytesIO(data)) as archive:
                data = archive.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise DocumentError(f"{path} is larger than {MAX_BYTES // 2**20} MiB; no snapshot is.")
        text = data.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path} is not a snapshot: it is not text.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DocumentError(f"{path} is cut off or damaged. Take the snapshot again.") from error
    except OSError as error:
        raise DocumentError(f"{path} can't be read: {error.strerror or error}.") from error
    try:
        return load(text)
    except DocumentError as error:
        raise DocumentError(f"{path}: {error}") from error


def fingerprint(snapshot: Snapshot) -> str:
    """sha256 of all that comparison looks at: equal for databases of equal schema, whatever their size, age and name."""
    digest = hashlib.sha256()
    for piece in plain.canonical(snapshot):
        digest.update(piece.encode())
    return digest.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _check_names(snapshot: Snapshot) -> None:
    """Objects are looked up by key and written by name: both must be of the same object. Raises ValueError."""
    for name in ("schemas", *_KEYED_BY_NAME, *_KEYED_BY_SCHEMA_AND_NAME):
        for key, value in getattr(snapshot, name).items():
            parts = (value.schema, value.name) if name in _KEYED_BY_SCHEMA_AND_NAME else (value.name,)
            if key != (value.name if name == "schemas" else dotted(*parts)):
                raise ValueError(f"what stands under {key} is called {dotted(*parts)}")


def _check_texts(value: Any) -> None:
    """PostgreSQL stores neither a NUL nor half of a surrogate pair, though JSON can spell them. Raises ValueError."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_texts(key)
            _check_texts(item)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item)
    elif isinstance(value, str):
        value.encode()
        if "\0" in value:
            raise ValueError("a text holds a NUL")
