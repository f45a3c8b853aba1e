"""Differences are filtered, grouped by object and cut into pages, whatever their names hold."""

from __future__ import annotations

from environments.catalog.values import Column, Index, Ref, Snapshot, Table
from migrations_registry.admin.drift import listing
from migrations_registry.admin.drift.listing import Filters
from migrations_registry.schema import diff
from migrations_registry.schema.items import items


def table(name: str, columns: int, *, schema: str = "public") -> Table:
    return Table(
        schema,
        name,
        columns=tuple(Column(f"c{n}", type="text") for n in range(columns)),
        indexes=(Index(f"{name}_idx", body="x"),),
    )


def database(*tables: Table) -> Snapshot:
    named = {f"{one.schema}.{one.name}": one for one in tables}
    return Snapshot(server_version=180000, database="d", taken_at="2026-11-20", tables=named)


def rows(base: Snapshot, target: Snapshot) -> list[listing.Row]:
    left, right = items(base), items(target)
    return listing.rows(diff(base, target).differences, left, right)


def test_what_lives_on_a_table_stands_with_it() -> None:
    found = rows(database(table("a", 1)), database(Table("public", "a", columns=table("a", 3).columns, comment="x")))
    (group,) = listing.grouped(found)
    assert (group.ref, group.severity) == (Ref("table", "public.a"), "high")
    assert [ref.kind for ref, _ in group.objects()] == ["table", "column", "column", "index"]


def test_filters_narrow_and_keep_each_other() -> None:
    found = rows(database(), database(table("a", 1), table("b", 1, schema="shop"), Table("shop", 'o"dd\nname')))
    assert {row.schema for row in listing.filtered(found, Filters(schema="shop"))} == {"shop"}
    assert [row.difference.object for row in listing.filtered(found, Filters(text="SHOP.B"))] == ["shop.b"]
    assert listing.filtered(found, Filters(severity="info")) == []
    assert listing.filtered(found, Filters(kind="table", text='o"dd')) != []
    filters = Filters(kind="table", text="a&b")
    assert filters.query(page=2) == "kind=table&q=a%26b&page=2"
    assert listing.filters_from({"kind": "table", "q": "a&b", "severity": "nonsense"}) == filters
    assert listing.choices(listing.counts(found)["severity"], listing.SEVERITIES) == [("high", 3)]


def test_pages_hold_whole_groups_and_no_form_grows_without_bound() -> None:
    base = database(*(table(f"t{n:03}", 1) for n in range(100)), table("wide", 1))
    target = database(*(table(f"t{n:03}", 11) for n in range(100)), table("wide", 1001))
    groups = listing.grouped(rows(base, target))
    first = listing.page(groups, 1)
    assert [len(group.rows) for group in first.groups] == [10] * 6
    assert first.count == 18
    assert listing.page(groups, 10_000).number == 18
    assert listing.page(groups, -1).number == 1
    (wide,) = listing.page(groups, 18).groups
    assert (len(wide.rows), wide.hidden) == (200, 800)
    shown = [group.ref for number in range(1, 19) for group in listing.page(groups, number).groups]
    assert shown == [group.ref for group in groups]


def test_picks_are_plain_words_and_differ() -> None:
    picks = {listing.pick_of(key) for key in (("a", "b.c", ""), ("a", "b", "c"), ("a\0b", "", "c"), ("é\n\"'", "", ""))}
    assert len(picks) == 4
    assert all(pick.isalnum() for pick in picks)
