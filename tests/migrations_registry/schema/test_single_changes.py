"""Every kind and property: one change is one difference, its repair clears it, its revert brings it back, and rows stay."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from controlplane.embedded import EmbeddedPostgres
from environments.catalog import Snapshot
from migrations_registry.schema import diff, repair
from tests.migrations_registry.schema.changes import CHANGES, FAMILIES, Change
from tests.migrations_registry.schema.helpers import apply, differences, look, revert, rows, shown
from tests.migrations_registry.schema.pairs import GLOBAL, Pair, Pairs


@pytest.fixture(scope="module")
def pairs(postgres_server: EmbeddedPostgres) -> Iterator[Pairs]:
    with contextlib.closing(Pairs(postgres_server)) as pairs:
        yield pairs


@pytest.fixture(scope="module")
def older_pairs(older_server: EmbeddedPostgres) -> Iterator[Pairs]:
    with contextlib.closing(Pairs(older_server)) as pairs:
        yield pairs


@pytest.fixture(scope="module")
def debian_pairs(debian_server: EmbeddedPostgres) -> Iterator[Pairs]:
    with contextlib.closing(Pairs(debian_server)) as pairs:
        yield pairs


def check(pairs: Pairs, change: Change) -> None:
    if change.needs and not pairs.has_extension(change.needs):
        pytest.skip(f"this server has no extension {change.needs}")
    if change.icu and not pairs.has_icu():
        pytest.skip("this server was built without ICU")
    if change.server_wide:
        check_server_wide(pairs, change)
        return
    with pairs.filled(change) as pair:
        before, after = look(pair.before), look(pair.after)
        found = diff(before, after)
        assert len(found.differences) == change.differences, shown(found)
        assert len(diff(after, before).differences) == change.differences
        if change.reported_only:
            for one, two in ((before, after), (after, before)):
                repaired = repair(one, two, allow_lossy=True)
                assert not repaired.statements
                assert len(repaired.held_back) == change.differences
            return
        there, back = repair(before, after, allow_lossy=True), repair(after, before, allow_lossy=True)
        kept = rows(pair.before, before, after, there), rows(pair.after, after, before, back)
        apply(pair.before, there)
        assert differences(look(pair.before), after) == []
        assert rows(pair.before, before, after, there) == kept[0]
        revert(pair.before, there)
        assert differences(look(pair.before), before) == []
        apply(pair.after, back)
        assert differences(look(pair.after), before) == []
        assert rows(pair.after, after, before, back) == kept[1]
        check_in_one_transaction(pair, before, after)


def check_in_one_transaction(pair: Pair, before: Snapshot, after: Snapshot) -> None:
    """Where nobody is at work all of it is one transaction, there and back."""
    there = repair(before, after, allow_lossy=True, online=False)
    assert len(there.segments) <= 1
    apply(pair.before, there)
    now = look(pair.before)
    assert differences(now, after) == []
    apply(pair.before, repair(now, before, allow_lossy=True, online=False))
    assert differences(look(pair.before), before) == []


def check_server_wide(pairs: Pairs, change: Change) -> None:
    """What both databases of a server share can't be there in two ways: one database is looked at before and after."""
    with pairs.filled(change, with_change=False) as pair:
        before = look(pair.before)
        pair.change(change)
        after = look(pair.before)
        found = diff(before, after)
        assert len(found.differences) == change.differences, shown(found)
        assert len(diff(after, before).differences) == change.differences
        there, back = repair(before, after, allow_lossy=True), repair(after, before, allow_lossy=True)
        apply(pair.before, back)
        assert differences(look(pair.before), before) == []
        apply(pair.before, there)
        assert differences(look(pair.before), after) == []
        revert(pair.before, there)
        assert differences(look(pair.before), before) == []


def on(version: int) -> pytest.MarkDecorator:
    """The changes that a server of that version knows."""
    return pytest.mark.parametrize(
        "change", [change for change in CHANGES if change.since <= version], ids=lambda change: change.name
    )


@pytest.mark.slow
@on(18)
def test_on_postgresql_18(pairs: Pairs, change: Change) -> None:
    check(pairs, change)


@pytest.mark.slow
@on(16)
def test_on_postgresql_16(older_pairs: Pairs, change: Change) -> None:
    check(older_pairs, change)


@pytest.mark.slow
@on(15)
def test_on_postgresql_15(debian_pairs: Pairs, change: Change) -> None:
    check(debian_pairs, change)


def fits_beside_others(change: Change) -> bool:
    """Whether it is of one schema alone, can be made on every server and is repaired."""
    return not (
        change.server_wide or change.icu or change in FAMILIES["base types"] or GLOBAL.search(change.before + change.change)
    )


def together(version: int) -> tuple[Change, dict[str, Change]]:
    """All changes that can live side by side as one, each in a schema of its own; and which is where."""
    places = {
        f"c{number:03}": change for number, change in enumerate(CHANGES) if change.since <= version and fits_beside_others(change)
    }
    before, after = [], []
    for schema, change in places.items():
        head = f"CREATE SCHEMA {schema}; SET search_path = {schema};"
        before.append(f"{head} {change.before};")
        after.append(f"SET search_path = {schema}; {change.change};")
    return Change("all", "\n".join(before), "\n".join(after)), places


def check_together(server: EmbeddedPostgres, version: int) -> None:
    change, places = together(version)
    with contextlib.closing(Pair(server)) as pair:
        pair.fill(change)
        before, after = look(pair.before), look(pair.after)
        counted = Counter(re.search(r"c\d{3}", d.object)[0] for d in diff(before, after).differences)  # type: ignore[index]
        expected = {schema: one.differences for schema, one in places.items()}
        assert {places[s].name: n for s, n in counted.items() if expected[s] != n} == {}
        assert {places[s].name for s in expected.keys() - counted.keys()} == set()
        there, back = repair(before, after, allow_lossy=True), repair(after, before, allow_lossy=True)
        apply(pair.before, there)
        assert differences(look(pair.before), after) == []
        revert(pair.before, there)
        assert differences(look(pair.before), before) == []
        apply(pair.after, back)
        assert differences(look(pair.after), before) == []


def test_all_changes_at_once_on_postgresql_18(postgres_server: EmbeddedPostgres) -> None:
    check_together(postgres_server, 18)


def test_all_changes_at_once_on_postgresql_16(older_server: EmbeddedPostgres) -> None:
    check_together(older_server, 16)


def test_all_changes_at_once_on_postgresql_15(debian_server: EmbeddedPostgres) -> None:
    check_together(debian_server, 15)


def test_nothing_to_do_is_nothing_done(make_database: Callable[..., str]) -> None:
    schema = "CREATE TABLE t (id serial PRIMARY KEY, a text CHECK (a <> '')); CREATE VIEW v AS SELECT * FROM t"
    one, two = look(make_database(schema)), look(make_database(schema))
    assert diff(one, two).equal
    assert not repair(one, two).statements
