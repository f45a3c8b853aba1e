"""The two databases of the ibam learning platform as they were found: production is ahead, staging has fallen behind.

Production has 22 sessions and the column ``accountability_triggers``; staging has 9 sessions and lacks the column. Both hold a
few thousand rows with personal data that are made up here, from a seeded generator, so that every run is the same.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql

SESSIONS = {"production": 22, "staging": 9}
LEARNERS = {"production": 2400, "staging": 300}
ROLES = ("ibam_owner", "ibam_app", "ibam_diagnosis")
EPOCH = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)

SCHEMA = """
CREATE TABLE coaches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    phone text
);
CREATE TABLE sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL UNIQUE,
    coach_id bigint NOT NULL REFERENCES coaches (id),
    coach_email text NOT NULL,
    starts_at timestamptz NOT NULL,
    capacity integer NOT NULL DEFAULT 20 CHECK (capacity > 0),
    notes text
);
CREATE INDEX sessions_coach_id ON sessions (coach_id);
CREATE TABLE learners (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    full_name text NOT NULL,
    email text NOT NULL UNIQUE,
    phone text,
    joined_at timestamptz
);
CREATE TABLE progress (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    learner_id bigint NOT NULL REFERENCES learners (id) ON DELETE CASCADE,
    session_id bigint NOT NULL REFERENCES sessions (id),
    score numeric(5, 2) NOT NULL CHECK (score BETWEEN 0 AND 100),
    completed_at timestamptz,
    UNIQUE (learner_id, session_id)
);
CREATE INDEX progress_session_id ON progress (session_id);
CREATE TABLE feedback (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    learner_id bigint NOT NULL REFERENCES learners (id) ON DELETE CASCADE,
    session_id bigint NOT NULL REFERENCES sessions (id),
    body text NOT NULL,
    rating smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX feedback_learner_id ON feedback (learner_id);
CREATE INDEX feedback_session_id ON feedback (session_id);
"""
#: What somebody once added to production by hand, and nowhere else.
ONLY_IN_PRODUCTION = "ALTER TABLE sessions ADD COLUMN accountability_triggers jsonb NOT NULL DEFAULT '[]'"

#: The diagnosis may read the counters of sequences and, when it comes, the ledger of migrations in its own schema.
GRANTS = (
    "GRANT USAGE ON SCHEMA public TO ibam_app, ibam_diagnosis",
    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO ibam_app, ibam_diagnosis",
    "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO ibam_diagnosis",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO ibam_app",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ibam_diagnosis",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO ibam_diagnosis",
    "ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO ibam_diagnosis",
)
GIVEN = (
    "Amara",
    "Bruno",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farid",
    "Greta",
    "Hana",
    "Ines",
    "Jonas",
    "Keiko",
    "Luca",
    "Mona",
    "Nils",
    "Olga",
)
FAMILY = (
    "Abbott",
    "Bauer",
    "Costa",
    "Dupont",
    "Eriksen",
    "Fischer",
    "García",
    "Haddad",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
)
TOPICS = (
    "Foundations",
    "Stewardship",
    "Vision",
    "Planning",
    "Customers",
    "Pricing",
    "Cash flow",
    "Hiring",
    "Leadership",
    "Ethics",
    "Growth",
)


def create_roles(server_url: str) -> None:
    """The owner (migrations, sync), the application and the diagnosis: three roles, none of them a superuser."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        for role in ROLES:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        connection.execute("GRANT pg_monitor TO ibam_diagnosis")
        for environment in SESSIONS:
            database = sql.Identifier(f"ibam_{environment}")
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO ibam_owner").format(database))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO ibam_app, ibam_diagnosis").format(database))
            connection.execute(sql.SQL("ALTER DATABASE {} SET timezone TO 'UTC'").format(database))


def fill(url: str, environment: str) -> bool:
    """Creates and fills the tables as the owner. Returns False when they are there already."""
    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('public.sessions')").fetchone() != (None,):
            return False
        connection.execute(SCHEMA)
        if environment == "production":
            connection.execute(ONLY_IN_PRODUCTION)
        chance = random.Random(f"ibam-{environment}")  # noqa: S311 - made-up people, not keys
        _fill_coaches_and_sessions(connection, environment)
        _fill_learners(connection, environment, chance)
        _fill_progress_and_feedback(connection, environment, chance)
        for statement in GRANTS:
            connection.execute(statement)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return True


def _fill_coaches_and_sessions(connection: psycopg.Connection, environment: str) -> None:
    coaches = [
        (f"{GIVEN[n]} {FAMILY[n]}", f"{GIVEN[n]}.{FAMILY[n]}@ibam.example".lower(), f"+49 30 555 01{n:02}") for n in range(6)
    ]
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO coaches (name, email, phone) VALUES (%s, %s, %s)", coaches)
        for number in range(SESSIONS[environment]):
            coach = number % len(coaches)
            title = f"{TOPICS[number % len(TOPICS)]} {number // len(TOPICS) + 1}"
            note = f"Call {coaches[coach][0]} at {coaches[coach][2]} if nobody opens the room."
            cursor.execute(
                "INSERT INTO sessions (title, coach_id, coach_email, starts_at, capacity, notes) VALUES (%s, %s, %s, %s, %s, %s)",
                [title, coach + 1, coaches[coach][1], EPOCH + timedelta(days=7 * number), 12 + number % 9, note],
            )
        if environment == "production":
            triggers = json.dumps(["missed two sessions", "no progress for 14 days"])
            cursor.execute("UPDATE sessions SET accountability_triggers = %s WHERE id %% 3 = 0", [triggers])


def _fill_learners(connection: psycopg.Connection, environment: str, chance: random.Random) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY learners (full_name, email, phone, joined_at) FROM STDIN") as copy:
        for number in range(LEARNERS[environment]):
            given, family = chance.choice(GIVEN), chance.choice(FAMILY)
            # In production the oldest accounts came from a spreadsheet that had no date of joining.
            legacy = environment == "production" and number % 4 == 0
            joined = None if legacy else EPOCH - timedelta(days=chance.randrange(900))
            copy.write_row(
                (f"{given} {family}", f"{given}.{family}.{number}@mail.example".lower(), f"+44 20 7946 {number:04}", joined)
            )


def _fill_progress_and_feedback(connection: psycopg.Connection, environment: str, chance: random.Random) -> None:
    sessions, learners = SESSIONS[environment], LEARNERS[environment]
    with connection.cursor() as cursor:
        with cursor.copy("COPY progress (learner_id, session_id, score, completed_at) FROM STDIN") as copy:
            for learner in range(1, learners + 1):
                for session in chance.sample(range(1, sessions + 1), 2):
                    done = EPOCH + timedelta(days=chance.randrange(200))
                    copy.write_row((learner, session, round(chance.uniform(20, 100), 2), done))
        with cursor.copy("COPY feedback (learner_id, session_id, body, rating, created_at) FROM STDIN") as copy:
            for _ in range(learners // 3):
                learner = chance.randrange(1, learners + 1)
                body = f"Please write to {chance.choice(GIVEN).lower()}@home.example, I moved house and changed my number."
                copy.write_row((learner, chance.randrange(1, sessions + 1), body, chance.randrange(1, 6), EPOCH))


def variables(environment: str, database_url: str) -> str:
    """The dotenv file of one environment. Staging's names production's project: somebody copied it and forgot one line."""
    project = {"production": "ibam-learning-platform-v3", "staging": "ibam-learning-platform-v3"}[environment]
    return (
        f"DATABASE_URL={database_url}\n"
        f"PUBLIC_BASE_URL=https://{'learn' if environment == 'production' else 'staging.learn'}.ibam.example\n"
        f"PROJECT_URL=https://{project}.projects.example\n"
        f"SESSION_SECRET={random.Random(environment + '-session').randbytes(24).hex()}\n"  # noqa: S311 - nothing real hides behind it
    )
