"""What somebody calls a rename is renamed: rows stay, what stands on it follows, and the way back renames again."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_registry.schema import repair
from migrations_registry.schema.renames import parse_rename
from tests.migrations_registry.schema.helpers import apply, differences, look, revert

SHOP = """
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE SEQUENCE numbers;
    CREATE TABLE users (id serial PRIMARY KEY, fullname text NOT NULL UNIQUE,
        born date CHECK (born > '1900-01-01'), m mood DEFAULT 'sad',
        n int DEFAULT nextval('numbers'), low text GENERATED ALWAYS AS (lower(fullname)) STORED);
    CREATE INDEX ON users (fullname, born);
    CREATE INDEX by_name ON users (lower(fullname)) WHERE fullname <> 'fullname';
    CREATE TABLE orders (id int PRIMARY KEY, who text REFERENCES users (fullname), buyer int REFERENCES users);
    CREATE VIEW names AS SELECT u.fullname AS called, users.id FROM users JOIN users u USING (id);
    CREATE VIEW moods AS SELECT id FROM users WHERE m = 'sad';
    CREATE FUNCTION young(d date) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT d > ''2000-01-01''';
    ALTER TABLE users ADD CONSTRAINT is_young CHECK (young(born));
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touched BEFORE UPDATE OF fullname ON users FOR EACH ROW WHEN (NEW.fullname <> '') EXECUTE FUNCTION touch();
    CREATE POLICY own ON users USING (fullname = CURRENT_USER);
    CREATE POLICY of_user ON orders USING (EXISTS (SELECT FROM users WHERE users.fullname = orders.who));
    INSERT INTO users (fullname, born) VALUES ('Alice', '2001-01-01'); INSERT INTO orders VALUES (1, 'Alice', 1);
"""
RENAMES = [
    ("public.users.fullname=full_name", [("fullname", "full_name"), ("<> 'full_name'", "<> 'fullname'")]),
    ("public.users=members", [("users", "members")]),
    ("public.users=User", [("users", '"User"')]),
    ("public.users.born=order", [("born", '"order"')]),
    ("enum:public.mood=feeling", [("mood", "feeling"), ("feelings", "moods")]),
    ("label:public.mood.sad=unhappy", [("'sad'", "'unhappy'")]),
    ("function:public.young(date)=is_new", [("young(d", "is_new(d"), ("young(b", "is_new(b")]),
    ("sequence:public.numbers=counted", [("numbers", "counted")]),
    ("view:public.names=people", [("VIEW names", "VIEW people")]),
    ("index:public.by_name=on_name", [("by_name", "on_name")]),
    ("constraint:public.users.is_young=of_age", [("is_young", "of_age")]),
]


@pytest.mark.parametrize(("option", "changes"), RENAMES, ids=lambda value: value if isinstance(value, str) else "")
def test_it_is_renamed_and_renamed_back(make_database: Callable[..., str], option: str, changes: list[tuple[str, str]]) -> None:
    wanted = SHOP
    for old, new in changes:
        wanted = wanted.replace(old, new)
    url, other = make_database(SHOP), make_database(wanted)
    before, target = look(url), look(other)
    made = repair(before, target, renames=[parse_rename(option, before, target)])
    assert [str(one) for one in made.held_back] == []
    assert "RENAME" in made.statements[0].sql
    assert not any("loses data" in statement.hazards for statement in made.statements)
    apply(url, made)
    assert differences(look(url), target) == []
    with psycopg.connect(url) as connection:
        name = connection.execute("SELECT relname FROM pg_class WHERE relname IN ('users', 'members', 'User')").fetchone()
        rows = connection.execute(f'SELECT * FROM "{name[0]}"').fetchall()  # type: ignore[index]
    assert len(rows) == 1
    assert "Alice" in rows[0]
    revert(url, made)
    assert differences(look(url), before) == []


def test_a_table_and_its_column_at_once(make_database: Callable[..., str]) -> None:
    url = make_database(SHOP)
    other = make_database(
        SHOP.replace("users", "members").replace("fullname", "full_name").replace("<> 'full_name'", "<> 'fullname'")
    )
    before, target = look(url), look(other)
    renames = [parse_rename(text, before, target) for text in ("public.users.fullname=full_name", "public.users=members")]
    made = repair(before, target, renames=renames)
    assert not made.held_back
    apply(url, made)
    assert differences(look(url), target) == []
    revert(url, made)
    assert differences(look(url), before) == []
