from tests.environments.diagnosis.planted import Planted

PLANTED = [
    Planted(
        "constraint.fk_type_mismatch",
        """
        CREATE TABLE wide (id bigint PRIMARY KEY); CREATE TABLE narrow (id int PRIMARY KEY);
        CREATE TABLE words (id varchar(9) PRIMARY KEY);
        CREATE TABLE small (id int PRIMARY KEY, wide_ref int REFERENCES wide, narrow_ref bigint REFERENCES narrow,
            same bigint REFERENCES wide, word text REFERENCES words);
        CREATE INDEX ON small (wide_ref); CREATE INDEX ON small (narrow_ref); CREATE INDEX ON small (same);
        CREATE INDEX ON small (word);
        """,
        sick=("small (wide_ref)", "small (narrow_ref)"),
        healthy=("small (same)", "small (word)"),
    ),
    Planted(
        "constraint.duplicate_fk",
        """
        CREATE TABLE one (id int PRIMARY KEY); CREATE TABLE two (id int PRIMARY KEY);
        CREATE TABLE twice (id int PRIMARY KEY, a int, b int, c int);
        ALTER TABLE twice ADD CONSTRAINT a_1 FOREIGN KEY (a) REFERENCES one, ADD CONSTRAINT a_22 FOREIGN KEY (a) REFERENCES one;
        ALTER TABLE twice ADD CONSTRAINT b_1 FOREIGN KEY (b) REFERENCES one ON DELETE CASCADE,
            ADD CONSTRAINT b_2 FOREIGN KEY (b) REFERENCES one;
        ALTER TABLE twice ADD CONSTRAINT c_1 FOREIGN KEY (c) REFERENCES one, ADD CONSTRAINT c_2 FOREIGN KEY (c) REFERENCES two;
        CREATE INDEX ON twice (a); CREATE INDEX ON twice (b); CREATE INDEX ON twice (c);
        """,
        sick=("twice (a) to p_constraint_duplicate_fk.one", "twice (b) to p_constraint_duplicate_fk.one"),
        healthy=("twice (c) to p_constraint_duplicate_fk.one", "twice (c) to p_constraint_duplicate_fk.two"),
    ),
    Planted(
        "constraint.not_valid",
        """
        CREATE TABLE groups_of (id int PRIMARY KEY);
        CREATE TABLE unproven (id int PRIMARY KEY, groups_of int, size int, CONSTRAINT proven CHECK (size < 100));
        ALTER TABLE unproven ADD CONSTRAINT later FOREIGN KEY (groups_of) REFERENCES groups_of NOT VALID;
        ALTER TABLE unproven ADD CONSTRAINT positive CHECK (size > 0) NOT VALID;
        ALTER TABLE unproven ADD CONSTRAINT now FOREIGN KEY (id) REFERENCES groups_of;
        CREATE INDEX ON unproven (groups_of);
        """,
        sick=("unproven: later", "unproven: positive"),
        healthy=("unproven: proven", "unproven: now"),
    ),
    Planted(
        "constraint.nullable_composite_fk",
        """
        CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b));
        CREATE TABLE loose (id int PRIMARY KEY, a int, b int NOT NULL, c int, d int, FOREIGN KEY (a, b) REFERENCES pairs,
            FOREIGN KEY (c, d) REFERENCES pairs);
        CREATE TABLE strict (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, c int, d int, FOREIGN KEY (a,
            b) REFERENCES pairs,
            FOREIGN KEY (c, d) REFERENCES pairs MATCH FULL);
        CREATE INDEX ON loose (a, b); CREATE INDEX ON loose (c, d); CREATE INDEX ON strict (a, b); CREATE INDEX ON strict (c, d);
        """,
        sick=("loose (a, b)", "loose (c, d)"),
        healthy=("strict (a, b)", "strict (c, d)"),
    ),
    Planted(
        "constraint.natural_key_not_unique",
        """
        CREATE TABLE people (id int PRIMARY KEY, email text, username text, slug text, work_email text, nickname text);
        INSERT INTO people SELECT n, 'p' || n || '@example.com', 'user' || n, 's' || n, 'w' || n || '@x.io', 'n' || n % 7
            FROM generate_series(1, 500) n;
        CREATE UNIQUE INDEX ON people (lower(slug)); CREATE UNIQUE INDEX ON people (work_email, nickname);
        """,
        sick=("people.email", "people.username"),
        healthy=("people.slug", "people.work_email", "people.nickname"),
    ),
    Planted(
        "constraint.missing_fk",
        """
        CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers SELECT generate_series(1, 50);
        CREATE TABLE categories (id int PRIMARY KEY, parent_id int);
        INSERT INTO categories SELECT n, nullif(n / 2, 0) FROM generate_series(1, 40) n;
        CREATE TABLE bills (id int PRIMARY KEY, customer_id int, category_id int, stripe_id text, "payerId" int, label_id int,
            label_type text);
        CREATE TABLE labels (id int PRIMARY KEY); INSERT INTO labels SELECT generate_series(1, 50);
        CREATE TABLE payers (id int PRIMARY KEY); INSERT INTO payers SELECT generate_series(1, 50);
        INSERT INTO bills SELECT n, n % 50 + 1, n % 40 + 1, 'cus_' || n, n * 1000, n % 50 + 1, 'x' FROM generate_series(1, 300) n;
        CREATE TABLE enforced (id int PRIMARY KEY, customer_id int REFERENCES customers); CREATE INDEX ON enforced (customer_id);
        INSERT INTO enforced SELECT n, n FROM generate_series(1, 20) n;
        """,
        sick=("bills.customer_id", "bills.category_id", "categories.parent_id"),
        healthy=("bills.stripe_id", 'bills."payerId"', "bills.label_id", "enforced.customer_id"),
    ),
]
