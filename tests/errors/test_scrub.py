"""What must never be stored is gone, wherever it stands, and nothing makes the scrubber raise."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errors.fingerprint import fingerprint, normalise
from errors.intake import prepare
from errors.scrub import MAX_TEXT, REMOVED, is_sensitive, scrub, scrub_text
from tests.errors.helpers import NOW

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXBhcnQ"
#: The eight planted secrets: what each is, and how it turns up in a text.
CANARIES = {
    "password": ("hunter2-canary", "login refused, password=hunter2-canary for bob"),
    "bearer": ("b34r3r-canary-0001", "sent Authorization: Bearer b34r3r-canary-0001 to api"),
    "dsn": ("dsn-pass-c4nary", "could not connect to postgresql://shop:dsn-pass-c4nary@db.internal:5432/shop"),
    "card": ("4111 1111 1111 1111", "charge of card 4111 1111 1111 1111 failed"),
    "email": ("alice.canary@example.org", "no account for alice.canary@example.org"),
    "jwt": (JWT, f"token {JWT} has expired"),
    "aws": ("AKIAIOSFODNN7EXAMPLE", "S3 refused AKIAIOSFODNN7EXAMPLE"),
    "sql": ("sql-param-canary", "INSERT INTO learners (name, note) VALUES (7, 'sql-param-canary')"),
}


@pytest.mark.parametrize("kind", CANARIES)
def test_the_canaries_are_gone_from_every_part_of_an_event(kind: str) -> None:
    secret, text = CANARIES[kind]
    raw = {
        "type": "Refused", "message": f"{text}\nDETAIL:  {text}", "release": "1.0",
        "component": text, "operation": text, "user": text, "tenant": text, "user_message": text,
        "stack": f'Traceback\n  File "/app/shop.py", line 3, in pay\n    {text}\n  File "/app/{text}", line 4, in {text}\n',
        "context": {
            "log": text, "headers": {"X-Trace": text}, "query": text, "extra": [text, {"deep": {"deeper": text}}],
            "breadcrumbs": [{"message": text}], "tags": [["note", text]], text: 1,
            "percent": quote(text, safe=""), "encoded": base64.b64encode(text.encode()).decode(),
        },
    }  # fmt: skip
    prepared = prepare(raw, release="1.0", now=NOW)
    everything = repr(prepared) + json.dumps(prepared.context)
    assert secret not in everything
    assert quote(secret, safe="") not in everything
    assert base64.b64encode(text.encode()).decode() not in everything
    assert secret.lower() not in normalise(prepared.message)


def test_the_fingerprint_does_not_depend_on_the_secret() -> None:
    keys = {
        prepare({"type": "Refused", "message": f"no account for {name}@example.org"}, release="", now=NOW).fingerprint
        for name in ("alice", "bob")
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    "name",
    ["password", "userPassword", "X-Api-Key", "api_key", "Set-Cookie", "authorization_header", "dbDsn", "DATABASE_URL", "card",
     "cardNo", "cvv", "csrfmiddlewaretoken", "aws_secret_access_key", "PHPSESSID", "pin", "clientSecret", "proxy-authorization"],
)  # fmt: skip
def test_names_that_hide_their_value(name: str) -> None:
    assert is_sensitive(name)
    assert scrub({"outer": [{name: {"any": "thing"}}]}) == {"outer": [{name: REMOVED}]}


@pytest.mark.parametrize("name", ["author", "authority", "discard", "cardinality", "spinner", "message", "count", "passenger_id"])
def test_names_that_only_look_like_it(name: str) -> None:
    assert name == "passenger_id" or not is_sensitive(name)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ('duplicate key\nDETAIL:  Key (email, id)=(x y, 7) already exists.', "x y"),
        ("DETAIL:  Failing row contains (5, Bob Builder, null).", "Bob"),
        ("DETAIL:  Failing row contains (5, two\nlines of it, null).", "lines of it"),
        ("[SQL: SELECT 1]\n[parameters: ('s3kr1t', 5)]", "s3kr1t"),
        ("UPDATE users SET name = E'it\\'s me' WHERE id = 4711", "4711"),
        ("select $tag$quoted 'text'$tag$ from t", "quoted"),
        ("INSERT INTO t VALUES ('cut off before its e", "cut off"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEcut", "MIIE"),
        ("Cookie: sid=abc; theme=dark", "sid=abc"),
        ('{"password": "two words", "user": 1}', "two words"),
        (r'body: "{\"password\": \"two words\"}"', "two words"),
        ("{'api_key': 'k-1 2'}", "k-1 2"),
        ("headers=[('Authorization', 'Basic dXNlcjpwYXNz')]", "dXNlcjpwYXNz"),
        ("https://key123@sentry.example/1", "key123"),
        ("redis://:p@ss/word@cache:6379/0", "word@"),
        ("5500-0000-0000-0004", "0000-0004"),
        ("call 12 4111111111111111 34", "4111111111111111"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abc"),
        ("sk_live_abcdefghijklmnop", "sk_live_abc"),
        ("/home/alice/app.py", "alice"),
        ("callback?token=abc123&next=/", "abc123"),
        ("user%3Dalice%40example.org", "alice"),
        ("password is hunter2!", "hunter2"),
        ('invalid input syntax for type integer: "Bob Builder"', "Bob"),
        ("Duplicate entry 'bob builder' for key 'users.name'", "builder"),
        ("LINE 1: ...RE note = 'personal thing' AND", "personal"),
        ("next=%252Fx%253Ftoken%253Dabc123", "abc123"),
        ("toKen=abc123", "abc123"),
        ("<Password>two words</Password>", "two words"),
        ("curl -u bob:s3cr3t https://x.example", "s3cr3t"),
    ],
)  # fmt: skip
def test_secrets_in_text(text: str, gone: str) -> None:
    assert gone not in scrub_text(text)


@pytest.mark.parametrize(
    "text",
    ['password authentication failed for user "shop"', "order 123456 of 2026-11-21 is gone", "13 sessions are missing: 9 of 22",
     "can't update, won't retry", "basic authentication is off", "1234567890123456 is not a card", "line 12, in pay",
     'relation "public.sessions" does not exist'],
)  # fmt: skip
def test_what_people_need_stays(text: str) -> None:
    assert scrub_text(text) == text


def test_what_postgresql_can_not_store_is_dropped() -> None:
    assert scrub({"a\x00b": "c\x00\ud800d", "n": float("nan")}) == {"ab": "cd", "n": "nan"}


def test_what_was_encoded_does_not_bring_nul_back() -> None:
    assert scrub_text("a%00b password%3Dx") == "ab password=[removed]"


def test_long_and_deep_values_are_cut() -> None:
    deep: Any = "end"
    for _ in range(50):
        deep = [deep]
    wide = {str(number): "x" * 5_000 for number in range(500)}
    assert len(json.dumps(scrub([deep, wide]))) < 120_000
    assert len(scrub_text("word " * 100_000)) == MAX_TEXT


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(_json)
@settings(max_examples=150, deadline=None)
def test_it_never_raises_and_gives_storable_json(value: Any) -> None:
    text = json.dumps(scrub(value), ensure_ascii=False, allow_nan=False)
    assert "\x00" not in text
    text.encode("utf-8")


@given(
    st.text(alphabet=st.characters(codec="utf-8")),
    st.from_regex(r"[a-zA-Z0-9!%_-]{12,30}[0-9]", fullmatch=True),
    st.text(max_size=20),
)
@settings(max_examples=150, deadline=None)
def test_a_secret_is_gone_whatever_stands_around_it(before: str, secret: str, after: str) -> None:
    for pattern in ("password={}", "Authorization: Bearer {}", "postgres://u:{}@h/d", '"api_key": "{}"'):
        cleaned = scrub_text(f"{before[:60]} {pattern.format(secret)} {after}")
        assert secret not in cleaned.replace(before[:60], "").replace(after, "")


@given(
    st.dictionaries(st.text(max_size=10), st.text(max_size=30)),
    st.sampled_from(["password", "Api-Key", "session_token", "x_auth"]),
)
@settings(max_examples=60, deadline=None)
def test_a_named_secret_is_gone_at_any_depth(around: dict[str, str], name: str) -> None:
    assert "kAnArY-77" not in json.dumps(scrub({"a": [{**around, "b": {name: ["kAnArY-77", {"c": "kAnArY-77"}]}}]}))


@pytest.mark.parametrize(
    "text",
    ["a" * 16_000, "1" * 16_000, "1 " * 8_000, "://a:" * 3_000, "Key (a)=(" * 1_800, "password " * 1_800, "'" * 16_000,
     "select '" * 2_000, "%41" * 5_000, "eyJaaaa." * 2_000, "a@" * 8_000, "a." * 8_000, "$a$" * 5_000,
     "password=" * 1_800, "bearer " * 2_200, "Failing row contains (" * 700],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    scrub_text(text)
    fingerprint(type="X", message=text)
    assert time.process_time() - began < 1.0
