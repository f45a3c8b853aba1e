"""A snapshot file that was cut, changed, made by somebody else or by another version is refused, or reads as it was written."""

# ruff: noqa: E501 (a damage reads best on one line)

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.catalog import DocumentError, Snapshot, document, read_snapshot
from environments.catalog.values import Column, Constraint, Function, Schema, Table
from migrations_registry.schema import diff

#: As the first release wrote it: no checksum, and no field that is at its default or came later.
OLDEST = """{"format": "evenkeel-snapshot", "version": 1, "snapshot": {"server_version": 160002, "database": "shop",
"taken_at": "2025-01-01T00:00:00+00:00", "schemas": {"public": {"name": "public", "owner": "alice"}},
"tables": {"public.learners": {"schema": "public", "name": "learners", "columns": [{"name": "id", "type": "bigint"}]}}}}"""

SMALL = Snapshot(
    server_version=180003,
    database="shöp",
    taken_at="2026-01-01T00:00:00+00:00",
    schemas={"public": Schema("public", "alice")},
    tables={
        'public."Le""arners"': Table(
            schema="public",
            name='Le"arners',
            columns=(Column(name="id", type="bigint"), Column(name="größe", type="text", default="'\\u0000'::text")),
            constraints=(Constraint(name="c", kind="check", columns=("id",), definition="CHECK ((id > 0))"),),
        )
    },
    functions={"public.f()": Function(schema="public", name="f", signature="", body="SELECT 'a\nb'")},
)
TEXT = document.dump(SMALL).encode()
ARCHIVE = gzip.compress(TEXT, mtime=0)


def read_bytes(directory: Path, data: bytes) -> Snapshot:
    path = directory / "snapshot"
    path.write_bytes(data)
    return document.read(path)


@pytest.mark.parametrize("whole", [TEXT, ARCHIVE], ids=["text", "archive"])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path, whole: bytes) -> None:
    for end in range(len(whole)):
        with pytest.raises(DocumentError):
            read_bytes(tmp_path, whole[:end])
    assert read_bytes(tmp_path, whole) == SMALL


@pytest.mark.parametrize("whole", [TEXT, ARCHIVE], ids=["text", "archive"])
@settings(max_examples=200)
@given(data=st.data())
def test_a_changed_byte_is_noticed_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        assert read_bytes(tmp_path_factory.getbasetemp(), bytes(changed)) == SMALL
    except DocumentError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "schema", "tables", "x"]), inner),
)


@given(JSON)
def test_any_other_content_under_our_heading_is_an_error(content: object) -> None:
    text = json.dumps({"format": document.FORMAT, "version": document.FORMAT_VERSION, "snapshot": content})
    with pytest.raises(DocumentError):
        document.load(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested"),
        ('{"a": ' * 100_000, "nested"),
        ("9" * 10_000, "nested so deeply or holds such numbers"),
        (OLDEST.replace('"version": 1', '"version": true'), "format version True"),
        (OLDEST.replace('"version": 1', '"version": 2'), "format version 2"),
        (OLDEST.replace('"type": "bigint"', '"type": "bigint", "colour": "red"'), "made by a newer version .* Column has no colour"),
        (OLDEST.replace('"name": "learners"', '"name": "x; DROP TABLE y"'), "damaged: what stands under public.learners is called"),
        (OLDEST.replace('"bigint"', '"big\\u0000int"'), "damaged: a text holds a NUL"),
        (OLDEST.replace('"bigint"', '"big\\ud800int"'), "damaged: .*surrogates"),
        (OLDEST.replace("160002", "1e400"), "damaged"),
        (TEXT.decode().replace("id > 0", "id > 9"), "damaged: its checksum"),
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        document.load(text)


def test_an_older_file_loads_and_can_be_compared(make_database: Callable[..., str]) -> None:
    old = document.load(OLDEST)
    assert old.tables["public.learners"].columns[0].type == "bigint"
    with psycopg.connect(make_database("CREATE TABLE learners (id bigint, email text)")) as connection:
        found = diff(old, read_snapshot(connection))
    assert [d.object for d in found.differences if d.kind == "column"] == ["public.learners.email"]


def test_what_unpacks_without_end_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 2**20)
    with pytest.raises(DocumentError, match="larger than 1 MiB"):
        read_bytes(tmp_path, gzip.compress(b" " * 2**22))


def test_a_directory_and_a_file_that_may_not_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="Is a directory"):
        document.read(tmp_path)
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(DocumentError, match="symbolic links"):
        document.read(tmp_path / "a")


def test_a_file_is_replaced_as_a_whole_or_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("the last one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            document.write(SMALL, path)
    assert path.read_text() == "the last one"
    assert os.listdir(tmp_path) == ["a.json"]
    document.write(SMALL, path)
    assert document.read(path) == SMALL
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_link_stays_a_link_and_a_device_a_device(tmp_path: Path) -> None:
    path, link = tmp_path / "a.json", tmp_path / "latest.json"
    path.write_text("")
    link.symlink_to(path)
    document.write(SMALL, link)
    assert link.is_symlink()
    assert document.read(path) == SMALL
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a file"):
        document.write(SMALL, tmp_path / "pipe")
