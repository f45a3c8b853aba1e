from tests.environments.diagnosis.planted import Planted

PLANTED = [
    Planted(
        "index.unindexed_fk",
        """
        CREATE TABLE parents (a int, b int, PRIMARY KEY (a, b));
        CREATE TABLE bare (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, FOREIGN KEY (a, b) REFERENCES parents);
        CREATE TABLE partial (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, FOREIGN KEY (a, b) REFERENCES parents);
        CREATE INDEX ON partial (a, b) WHERE a > 5;
        CREATE TABLE reversed (id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, FOREIGN KEY (a, b) REFERENCES parents);
        CREATE INDEX ON reversed (b, a, id);
        CREATE TABLE own_key (a int, b int, c int, PRIMARY KEY (a, b, c), FOREIGN KEY (a, b) REFERENCES parents);
        """,
        sick=("bare (a, b)", "partial (a, b)"),
        healthy=("reversed (a, b)", "own_key (a, b)"),
    ),
    Planted(
        "index.duplicate",
        """
        CREATE TABLE copies (id int PRIMARY KEY, title text, body text, flag int);
        CREATE INDEX first_title ON copies (title); CREATE INDEX second_title ON copies (title);
        CREATE UNIQUE INDEX copy_of_key ON copies (id);
        CREATE INDEX pattern ON copies (body); CREATE INDEX plain ON copies (body text_pattern_ops);
        CREATE INDEX down ON copies (flag DESC NULLS LAST); CREATE INDEX up ON copies (flag);
        CREATE INDEX few ON copies (body, flag) WHERE flag > 1; CREATE INDEX others ON copies (body, flag) WHERE flag > 2;
        """,
        sick=("copies: copies of btree (title)", "copies: copies of btree (id)"),
        healthy=("copies: copies of btree (body)", "copies: copies of btree (flag)", "copies: copies of btree (body, flag)"),
    ),
    Planted(
        "index.redundant_prefix",
        """
        CREATE TABLE prefixes (id int PRIMARY KEY, a int, b int, c int, d text);
        CREATE INDEX short ON prefixes (a); CREATE INDEX long ON prefixes (a, b);
        CREATE INDEX pair ON prefixes (c, b); CREATE INDEX triple ON prefixes (c, b, a);
        CREATE UNIQUE INDEX rule ON prefixes (b); CREATE INDEX beyond ON prefixes (b, d);
        CREATE INDEX pattern ON prefixes (d text_pattern_ops); CREATE INDEX normal ON prefixes (d, a);
        """,
        sick=("prefixes: btree (a)", "prefixes: btree (c, b)"),
        healthy=("prefixes: unique btree (b)", "prefixes: btree (d)"),
    ),
    Planted(
        "index.null_heavy",
        """
        CREATE TABLE sparse (id int PRIMARY KEY, rarely int, seldom text, mostly int, unique_rarely int);
        INSERT INTO sparse SELECT n, CASE WHEN n % 10 = 0 THEN n END, CASE WHEN n % 4 = 0 THEN 'x' || n END,
            CASE WHEN n % 3 > 0 THEN n END, CASE WHEN n % 10 = 0 THEN n END FROM generate_series(1, 2000) n;
        CREATE INDEX ON sparse (rarely); CREATE INDEX ON sparse (seldom); CREATE INDEX ON sparse (mostly);
        CREATE UNIQUE INDEX ON sparse (unique_rarely);
        """,
        sick=("sparse: btree (rarely)", "sparse: btree (seldom)"),
        healthy=("sparse: btree (mostly)", "sparse: unique btree (unique_rarely)"),
    ),
    Planted(
        "index.unneeded_where",
        """
        CREATE TABLE predicates (id int PRIMARY KEY, a int NOT NULL, "B c" text NOT NULL, maybe int, d int NOT NULL);
        CREATE INDEX ON predicates (a) WHERE a IS NOT NULL; CREATE INDEX ON predicates ("B c") WHERE "B c" IS NOT NULL;
        CREATE INDEX ON predicates (maybe) WHERE maybe IS NOT NULL; CREATE INDEX ON predicates (d) WHERE d > 0;
        """,
        sick=("predicates: btree (a) where (a IS NOT NULL)", 'predicates: btree ("B c") where ("B c" IS NOT NULL)'),
        healthy=("predicates: btree (maybe) where (maybe IS NOT NULL)", "predicates: btree (d) where (d > 0)"),
    ),
    Planted(
        "index.wrong_method",
        """
        CREATE TABLE methods (id int PRIMARY KEY, tags text[], document jsonb, done bool, open bool, labels text[]);
        CREATE INDEX ON methods (tags); CREATE INDEX ON methods (document); CREATE INDEX ON methods (done);
        CREATE INDEX ON methods (open) WHERE NOT open; CREATE INDEX ON methods USING gin (labels);
        CREATE INDEX ON methods (open, id);
        """,
        sick=("methods: btree (tags)", "methods: btree (document)", "methods: btree (done)"),
        healthy=("methods: btree (open) where (NOT open)", "methods: gin (labels)", "methods: btree (open, id)"),
    ),
    Planted(
        "index.invalid",
        """
        CREATE TABLE broken (id int PRIMARY KEY, a int, b int, c int, d int);
        CREATE INDEX failed ON broken (a); CREATE UNIQUE INDEX failed_unique ON broken (b); CREATE INDEX fine ON broken (c);
        CREATE INDEX fine_too ON broken (d);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('failed'::regclass, 'failed_unique'::regclass);
        """,
        sick=("broken: btree (a)", "broken: unique btree (b)"),
        healthy=("broken: btree (c)", "broken: btree (d)"),
    ),
]
