def test_a_table_without_primary_key_is_found(make_database, failures):
    url = make_database("CREATE TABLE notes (body text)", "CREATE TABLE keyed (id int PRIMARY KEY)")
    found = failures(url, "schema.no_primary_key")
    assert list(found) == ["main: public.notes"]
    assert "ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" in found["main: public.notes"].fix_sql


def test_a_unique_key_that_is_there_becomes_the_fix(make_database, failures):
    url = make_database('CREATE TABLE codes ("The Code" text NOT NULL UNIQUE, label text)')
    fix = failures(url, "schema.no_primary_key")["main: public.codes"].fix_sql
    assert fix == 'ALTER TABLE public.codes ADD CONSTRAINT codes_pkey PRIMARY KEY ("The Code");'


def test_a_partitioned_table_is_judged_at_its_parent(make_database, failures):
    url = make_database(
        "CREATE TABLE keyed (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE keyless (id int) PARTITION BY RANGE (id)",
    )
    assert list(failures(url, "schema.no_primary_key")) == ["main: public.keyless"]


def test_names_with_quotes_newlines_and_umlauts_are_named_and_fixed(make_database, failures):
    import psycopg

    url = make_database('CREATE TABLE "Möbel ""alt""\nneu" (x int)')
    found = failures(url, "schema.no_primary_key")
    assert list(found) == ['main: public."Möbel ""alt""\\nneu"']
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(next(iter(found.values())).fix_sql)
    assert not failures(url, "schema.no_primary_key")
