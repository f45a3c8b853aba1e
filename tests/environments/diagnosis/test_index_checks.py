import psycopg
import pytest

PARENT = "CREATE TABLE parents (a int, b int, PRIMARY KEY (a, b))"
CHILD = "CREATE TABLE children (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES parents)"
OBJECT = "main: public.children (a, b)"


def test_a_foreign_key_without_index_is_found_and_its_fix_mends_it(make_database, failures):
    url = make_database(PARENT, CHILD)
    found = failures(url, "index.unindexed_fk")
    assert list(found) == [OBJECT]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(found[OBJECT].fix_sql)
        assert not failures(url, "index.unindexed_fk")
        connection.execute(found[OBJECT].undo_sql)
    assert list(failures(url, "index.unindexed_fk")) == [OBJECT]


@pytest.mark.parametrize(
    "index",
    ["CREATE INDEX i ON children (a, b) WHERE a > 0", "CREATE INDEX i ON children (id, a, b)", "CREATE INDEX i ON children (a)",
     "CREATE INDEX i ON children USING brin (a, b)", "CREATE INDEX i ON children ((a + 1), b)"],
)  # fmt: skip
def test_an_index_that_does_not_lead_with_the_key_is_no_cover(make_database, failures, index):
    assert list(failures(make_database(PARENT, CHILD, index), "index.unindexed_fk")) == [OBJECT]


@pytest.mark.parametrize("keys", ["a, b", "b, a", "b, a, id", "a) INCLUDE (id"])
def test_columns_in_any_order_at_the_front_are_cover(make_database, failures, keys):
    single = "INCLUDE" in keys
    parent = "CREATE TABLE parents (a int PRIMARY KEY)" if single else PARENT
    child = "CREATE TABLE children (id int PRIMARY KEY, a int REFERENCES parents)" if single else CHILD
    assert not failures(make_database(parent, child, f"CREATE INDEX i ON children ({keys})"), "index.unindexed_fk")


def test_the_key_of_a_partitioned_table_is_reported_once(make_database, failures):
    url = make_database(
        "CREATE TABLE parents (id int PRIMARY KEY)",
        "CREATE TABLE events (id int, parent int REFERENCES parents, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10)",
    )
    found = failures(url, "index.unindexed_fk")
    assert list(found) == ["main: public.events (parent)"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(found["main: public.events (parent)"].fix_sql)
    assert not failures(url, "index.unindexed_fk")
