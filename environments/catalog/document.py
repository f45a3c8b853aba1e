"""Snapshots as JSON files, and their fingerprint."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import secrets
import types
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

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
    "tables", "sequences", "views", "enums", "domains", "composites", "ranges", "collations", "statistics",
    "text_search_configurations", "text_search_dictionaries",
)  # fmt: skip


class DocumentError(Exception):
    """The file or text is not a snapshot that this version can read. The message says what it is and what to do."""


def dump(snapshot: Snapshot) -> str:
    """The snapshot as JSON: the same snapshot gives the same text. Empty values are left out."""
    text = _json(_plain(snapshot))
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
    if "sha256" in document and document["sha256"] != _digest(_json(document.get("snapshot"))):
        raise DocumentError("This snapshot is damaged: its checksum is another one than its content's. Take it again.")
    try:
        if _RARE_ESCAPES.search(text):
            _check_texts(document)
        snapshot: Snapshot = _value(Snapshot, document.get("snapshot"))
        _check_names(snapshot)
    except _UnknownFieldError as error:
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
    except BaseException:
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
    compared = {
        field.name: _plain(getattr(snapshot, field.name), compared_only=True)
        for field in fields(snapshot)
        if isinstance(getattr(snapshot, field.name), Mapping) and field.name != "roles"
    }
    return hashlib.sha256(json.dumps(compared, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class _UnknownFieldError(TypeError):
    """A field that no value of this version has."""


def _json(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False)


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


@cache
def _fields(cls: type) -> tuple[tuple[str, Any, Any, bool], ...]:
    """(name, type, default, compared) of a dataclass."""
    hints = get_type_hints(cls)
    return tuple((f.name, hints[f.name], f.default, f.metadata.get("compared", True)) for f in fields(cls))


def _plain(value: Any, *, compared_only: bool = False) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        found = {}
        for name, _, default, compared in _fields(type(value)):
            item = getattr(value, name)
            if (compared or not compared_only) and (item != default or type(item) is not type(default)):
                found[name] = _plain(item, compared_only=compared_only)
        return found
    if isinstance(value, Mapping):
        return {key: _plain(item, compared_only=compared_only) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item, compared_only=compared_only) for item in value]
    return value


def _value(hint: Any, data: Any) -> Any:  # noqa: PLR0911 (one return a kind of type)
    """``data`` as the type that ``hint`` says; raises TypeError where it is something else."""
    if isinstance(hint, type) and is_dataclass(hint):
        if not isinstance(data, dict):
            raise TypeError(f"a {hint.__name__} was expected, not {type(data).__name__}")
        known = {name: kind for name, kind, _, _ in _fields(hint)}
        unknown = data.keys() - known.keys()
        if unknown:
            raise _UnknownFieldError(f"{hint.__name__} has no {', '.join(sorted(unknown))} here")
        return hint(**{name: _value(known[name], item) for name, item in data.items()})
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        return None if data is None else _value(options[0], data)
    if origin is tuple:
        arguments = get_args(hint)
        if not isinstance(data, list):
            raise TypeError(f"a list was expected, not {type(data).__name__}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_value(arguments[0], item) for item in data)
        return tuple(_value(kind, item) for kind, item in zip(arguments, data, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise TypeError(f"an object was expected, not {type(data).__name__}")
        return {key: _value(get_args(hint)[1], item) for key, item in data.items()}
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if type(data) is not hint:
        raise TypeError(f"{hint.__name__} was expected, not {type(data).__name__}")
    return data
