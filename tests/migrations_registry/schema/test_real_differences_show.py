"""What is merely spelt differently is no drift, and nothing that means something else is taken for that."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_registry.schema.spelling import same_text

#: (how it is written, what it may be changed to); as PostgreSQL prints them.
COLUMNS = ("a", "b", "t.c", "(d)::text", '"Order"')
LITERALS = (
    "1",
    "2",
    "1.5",
    "'x'::text",
    "'X'::text",
    "'y'::character varying",
    "'2020-01-01'::date",
    "'1 day'::interval",
    "NULL::text",
)
OPERATORS = ("+", "-", "*", "/", "||", "=", "<>", "<", ">", "<=", ">=", "~~", "~", "->>", "@>")
FUNCTIONS = ("lower", "upper", "COALESCE", "GREATEST", "LEAST", "public.f", "other.f", "date_trunc")
TYPES = ("text", "character varying", "integer", "bigint", "numeric(9,2)", "numeric(9,3)", "text[]", "public.mood")

ARRAYS = ("text[]", "character varying[]", "character varying(2)[]", "integer[]")

many = st.lists(st.sampled_from(LITERALS), min_size=1).map(tuple)
leaves = st.one_of(
    st.sampled_from(COLUMNS).map(lambda text: ("column", text)), st.sampled_from(LITERALS).map(lambda text: ("literal", text))
)


def branches(inner: st.SearchStrategy[tuple]) -> st.SearchStrategy[tuple]:  # type: ignore[type-arg]
    return st.one_of(
        st.tuples(st.just("operator"), st.sampled_from(OPERATORS), inner, inner),
        st.tuples(st.just("function"), st.sampled_from(FUNCTIONS), inner, inner),
        st.tuples(st.just("cast"), st.sampled_from(TYPES), inner),
        st.tuples(st.just("and"), st.sampled_from(("AND", "OR")), inner, inner),
        st.tuples(st.just("list"), st.sampled_from(("= ANY", "<> ALL")), inner, many),
        st.tuples(st.just("array"), st.sampled_from(ARRAYS), many),
        st.tuples(st.just("case"), inner, inner, inner),
    )  # fmt: skip


trees = st.recursive(leaves, branches, max_leaves=12)


def text(tree: tuple, *, loose: bool = False) -> str:  # type: ignore[type-arg]
    """The expression; ``loose`` has parentheses that change nothing."""
    kind, *parts = tree
    if kind in ("column", "literal"):
        return f"(({parts[0]}))" if loose else str(parts[0])
    if kind == "array":
        return f"((ARRAY[{', '.join(parts[1])}])::{parts[0]})"
    shown = [text(part, loose=loose) if isinstance(part, tuple) and kind != "list" else part for part in parts]
    if kind in ("operator", "and"):
        found = f"({shown[1]} {shown[0]} {shown[2]})"
    elif kind == "function":
        found = f"{shown[0]}({shown[1]}, {shown[2]})"
    elif kind == "cast":
        found = f"({shown[1]})::{shown[0]}"
    elif kind == "list":
        found = f"({text(parts[1], loose=loose)} {parts[0]} (ARRAY[{', '.join(parts[2])}]))"
    else:
        found = f"CASE WHEN ({shown[0]} = 1) THEN {shown[1]} ELSE {shown[2]} END"
    return f"({found})" if loose else found


def mutations(tree: tuple) -> list[tuple]:  # type: ignore[type-arg]
    """Every tree that differs in one thing."""
    kind, *parts = tree
    choices = {"column": COLUMNS, "literal": LITERALS, "operator": OPERATORS, "function": FUNCTIONS, "cast": TYPES,
               "and": ("AND", "OR"), "list": ("= ANY", "<> ALL"), "array": ARRAYS}  # fmt: skip
    found = [(kind, other, *parts[1:]) for other in choices.get(kind, ()) if other != parts[0]]
    if kind in ("operator", "function", "and") and parts[1] != parts[2]:
        found.append((kind, parts[0], parts[2], parts[1]))
    if kind == "list":
        found += [
            (kind, parts[0], parts[1], (*parts[2], "'more'::text")),
            (kind, parts[0], parts[1], ("'Z'::text", *parts[2][1:])),
        ]
    if kind == "array":
        return [*found, (kind, parts[0], (*parts[1], "'more'::text")), (kind, parts[0], ("'Z'::text", *parts[1][1:]))]
    for place, part in enumerate(parts):
        if isinstance(part, tuple) and not (kind == "list" and place == 2):
            found += [(kind, *parts[:place], other, *parts[place + 1 :]) for other in mutations(part)]
    return found


def same_meaning(one: str, two: str) -> bool:
    """Casts of a text constant to text and to varchar are one value: 'a'::varchar::text is 'a'::text."""

    def without(expression: str) -> str:
        return re.sub(r"\('(\w*)'::(?:text|character varying)\)::(text|character varying)", r"'\1'::\2", expression)

    before = ("", "")
    while before != (one, two):
        before = one, two
        one, two = without(one), without(two)
    return one == two


@settings(max_examples=150, deadline=None)
@given(trees, st.data())
def test_one_change_anywhere_is_a_difference(tree: tuple, data: st.DataObject) -> None:  # type: ignore[type-arg]
    changed = data.draw(st.sampled_from(mutations(tree)))
    one, two = text(tree), text(changed)
    if not same_meaning(one, two):
        for wrap in ("{}", "CHECK ({})", "btree (x) WHERE ({})", " SELECT {} AS q FROM public.t WHERE true"):
            assert not same_text("view", wrap.format(one), wrap.format(two)), (wrap, one, two)


@settings(max_examples=100, deadline=None)
@given(trees)
def test_parentheses_alone_are_none(tree: tuple) -> None:  # type: ignore[type-arg]
    assert same_text("view", f"CHECK ({text(tree)})", f"CHECK ({text(tree, loose=True)})")
