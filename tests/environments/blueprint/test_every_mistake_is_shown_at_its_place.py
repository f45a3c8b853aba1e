"""Whatever is wrong with a blueprint is told with line and column, all of it at once. No database is needed for that."""

from __future__ import annotations

import pytest

from environments.blueprint.model import Blueprint
from environments.blueprint.parse import BlueprintError, Surroundings, parse

HERE = Surroundings(
    reference=lambda text: "" if text.startswith(("env:TARGET_", "file:")) else "A secret is given as a reference.",
    url=lambda text: "" if text.startswith("http") else "this is not a web address.",
    variable={
        "TARGET_WEB_PORT": "8001",
        "TARGET_BAD_PORT": "u:p@h",
        "TARGET_EMPTY_PORT": "",
        "TARGET_DATABASE_URL": "s3cret",
    }.get,
)
SHOP = """
application: shop
name: Shop
environments:
  staging:
    tier: staging
    order: 1
    data_class: masked
    components:
      web: {kind: backend, health_url: "http://127.0.0.1:1/health"}
    databases:
      main: {dsn: "env:TARGET_STAGING"}
  production:
    tier: production
    order: 2
    data_class: personal
    source_of_truth: true
    promotes_from: staging
    protected: true
    required_approvals: 1
    databases:
      main: {dsn: "env:TARGET_PRODUCTION"}
sync:
  down: {from: production, to: staging, tables: [public.articles]}
"""


def load(text: str) -> Blueprint:
    return parse(text, source="shop.yaml", surroundings=HERE)


def problems(text: str) -> list[str]:
    with pytest.raises(BlueprintError) as caught:
        load(text)
    return str(caught.value).splitlines()


def changed(old: str, new: str) -> str:
    assert SHOP.count(old) >= 1, old
    return SHOP.replace(old, new, 1)


def test_the_example_is_right() -> None:
    shop = load(SHOP)
    assert shop.environments["production"].promotes_from == "staging"
    assert shop.sync["down"].source == "production"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("    tier: staging", "    teir: staging", "6:5: 'teir' is not known here. Did you mean 'tier'?"),
        ("    tier: staging", "    tier: stagin", "6:11: tier: 'stagin' is not allowed here. Did you mean 'staging'?"),
        ("    order: 1", "    order: one", "7:12: order: a whole number is expected here, not text."),
        ("    order: 1", "    order: 40000", "7:12: order: should be less than or equal to 32767."),
        ("    order: 1", "    order: 3", "18:20: 'staging' (order 3) must come before 'production' (order 2)."),
        ("name: Shop", "name: 12", "3:7: name: text is expected here, not a number. Put quotes around it"),
        ("application: shop", "application: Shop!", "2:14: application: lower-case letters, digits and dashes"),
        ("from: production, to: staging", "from: staging, to: production", "24:16: Data flows only to less trusted environments"),
        ("from: production, to: staging", "from: production, to: production", "24:16: Data flows only to less trusted"),
        ("from: production", "from: prodution", "24:16: There is no environment of the name 'prodution'. Did you"),
        ("data_class: masked", "data_class: synthetic", "24:32: 'staging' holds synthetic data only"),
        ("    promotes_from: staging", "    promotes_from: qa", "18:20: There is no environment of the name 'qa'."),
        ("    protected: true\n", "", "14:11: 'production' is production and must be protected"),
        ("    protected: true", "    protected: false", "19:16: 'production' is production and must be protected"),
        ("required_approvals: 1", "required_approvals: 0", "20:25: 'production' is protected and needs 'required_approvals'"),
        ("    order: 1", "    order: 1\n    source_of_truth: true", "18:22: 'staging' is the source of truth already"),
        ('dsn: "env:TARGET_PRODUCTION"', 'dsn: "env:TARGET_STAGING"', "22:19: staging/main has this reference already"),
        ('dsn: "env:TARGET_STAGING"', 'dsn: ""', "12:19: dsn: A secret is given as a reference."),
        ('{dsn: "env:TARGET_STAGING"}', "{}", "12:13: 'dsn' is missing in 'main'"),
        ("tables: [public.articles]", "tables: []", "24:49: tables: it must hold at least 1."),
        ("tables: [public.articles]", "tables: [articles]", "24:50: tables[0]: a table is written schema.table."),
        ("  production:\n    tier", "  staging:\n    tier", "13:3: 'staging' is named twice; the first is in line 5."),
        ("  production:\n    tier", "  Production!:\n    tier", "13:3: 'Production!' can't be a name here"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(old: str, new: str, expected: str) -> None:
    found = problems(changed(old, new))
    assert any(line.startswith(f"shop.yaml:{expected}") for line in found), "\n".join(found)


def test_several_mistakes_are_reported_together_in_the_order_of_the_file() -> None:
    text = changed("from: production, to: staging", "from: staging, to: production")
    text = text.replace("tier: staging", "teir: staging").replace('dsn: "env:TARGET_PRODUCTION"', "dsn: SECRET_KEY")
    found = problems(text)
    lines = [int(line.split(":")[1]) for line in found]
    assert lines == sorted(lines)
    assert {6, 22} <= set(lines)
    assert len(found) >= 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: The file is empty"),
        ("# nothing\n", "1:1: The file is empty"),
        ("- a\n- b\n", "1:1: A blueprint is a mapping"),
        ("just words", "1:1: A blueprint is a mapping"),
        ("application: [shop", "This is not YAML"),
        ("a: b: c", "1:5: This is not YAML"),
        ("a: \x01", "1:4: This is not YAML: a character"),
        ("name: &a x\ndescription: *a\n", "2:14: YAML aliases are not used"),
        ("name: !!python/object/apply:os.system [echo]\n", "1:7: YAML tags (!something)"),
        ("a: 1\n---\nb: 2\n", "2:1: A file holds one blueprint"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper than"),
        ("? [a, b]\n: c\n", "1:3: A key must be a plain word."),
        ("environments: 3\nvariables: 4\nmasking: [1]\nsync: x\ncleanup: null\n", "'application' is missing"),
        ('application: shop\nname: "a\\0b"\n', "2:7: This text holds a character that can't be stored"),
        ('application: shop\nname: "\\ud800"\n', "2:7: This text holds a character that can't be stored"),
        ("application: shop\nname: S\nenvironments: {a: {components: {w: {settings: {x: .inf}}}}}", "A number must be finite."),
    ],
)
def test_what_is_no_blueprint_at_all_is_told_plainly(text: str, expected: str) -> None:
    assert expected in "\n".join(problems(text))


def test_a_huge_file_is_not_read() -> None:
    assert "at most" in problems("a" * 2_000_000)[0]


@pytest.mark.parametrize(
    "clear", ["postgresql://shop:hunter2@db/shop", "host=db password=hunter2", "https://hunter2@sentry.example/1"]
)
@pytest.mark.parametrize(
    "place",
    ['dsn: "env:TARGET_STAGING"', "tier: staging", "name: Shop", "kind: backend", "to: staging", "application: shop", "order: 1"],
)
def test_credentials_in_the_clear_are_refused_and_never_shown(clear: str, place: str) -> None:
    text = changed(place, f'{place.partition(":")[0]}: "{clear}"')
    found = "\n".join(problems(text))
    assert "in the clear" in found
    assert "hunter2" not in found


def test_credentials_as_a_key_are_never_shown() -> None:
    found = "\n".join(problems(changed("name: Shop", 'name: Shop\n"postgresql://shop:hunter2@db/shop": 1')))
    assert "may not be kept" in found
    assert "hunter2" not in found


@pytest.mark.parametrize("value", ["hunter2", "postgres://db/shop", "env: TARGET_X"])
def test_a_reference_that_is_none_is_never_shown(value: str) -> None:
    found = "\n".join(problems(changed('dsn: "env:TARGET_STAGING"', f'dsn: "{value}"')))
    assert "12:19: dsn: A secret is given as a reference." in found
    assert value not in found


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1:${TARGET_WEB_PORT}/health", ""),
        ("http://127.0.0.1:${TARGET_NO_PORT}/health", "${TARGET_NO_PORT} is not set, or empty"),
        ("http://127.0.0.1:${TARGET_EMPTY_PORT}/health", "${TARGET_EMPTY_PORT} is not set, or empty"),
        ("http://127.0.0.1:${TARGET_BAD_PORT}/health", "not a host or a port; it is not shown"),
        ("http://127.0.0.1/${TARGET_DATABASE_URL}", "is not filled in"),
        ("http://127.0.0.1/${SECRET_KEY}", "is not filled in"),
        ("ftp://files", "not a web address"),
    ],
)
def test_only_hosts_and_ports_are_filled_into_addresses(address: str, expected: str) -> None:
    text = changed("http://127.0.0.1:1/health", address)
    if not expected:
        assert load(text).environments["staging"].components["web"].health_url == "http://127.0.0.1:8001/health"
        return
    found = "\n".join(problems(text))
    assert expected in found
    assert "u:p@h" not in found
    assert "s3cret" not in found


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("variables: [{key: A}, {key: A}]", "'A' has a rule already, in line 25."),
        ("variables: [{key: 1A}]", "letters, digits and underscores"),
        ("variables: [{key: A, component: wbe}]", "There is no component of the name 'wbe'. Did you mean 'web'?"),
        ("variables: [{key: A, per_environment: {stagin: x}}]", "Did you mean 'staging'?"),
        ("variables: [{key: A, require_tls: true}]", "'require_tls' is for variables of the kind 'postgres'."),
        ("masking: {public.articles: {title: keep}}", "Keeping public.articles.title needs a reason"),
        ("masking: {public.articles: {title: shuffle}}", "'shuffle' is not allowed here. Allowed: keep, hash"),
        ("masking: {articles: {title: hash}}", "a table is written schema.table."),
        ("cleanup: {x: {kind: orphans, table: public.a}}", "'x' lacks column, parent, parent_column, action: rules"),
        ("cleanup: {x: {kind: duplicates, table: public.a, key: [a], keep: newest, order_by: id, parent: public.b}}",
         "'parent' means nothing for the kind 'duplicates'."),
        ("sync2: {}", "'sync2' is not known here. Did you mean 'sync'?"),
    ],
)  # fmt: skip
def test_rules_are_checked_too(more: str, expected: str) -> None:
    assert expected in "\n".join(problems(SHOP + more))


def test_null_is_a_masking_strategy() -> None:
    shop = load(SHOP + "masking: {public.people: {phone: null, email: {strategy: null}, name: {strategy: hash}}}")
    assert [rule.strategy for rule in shop.masking["public.people"].values()] == ["null", "null", "hash"]
