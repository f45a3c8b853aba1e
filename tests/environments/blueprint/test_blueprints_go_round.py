"""What is exported and applied again changes nothing; the five systems that come with the house can be applied."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, get_args

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments import blueprint
from environments.blueprint import model
from environments.blueprint.emit import dump
from environments.blueprint.parse import BlueprintError, Surroundings, parse
from environments.models import CleanupRule, Component, DataClass, Environment, MaskingRule, Tier, VariableRule
from environments.models.topology import TRUST, ComponentKind

SYSTEMS = sorted((Path(__file__).resolve().parents[3] / "environments" / "blueprints").glob("*.yaml"))


@pytest.fixture(autouse=True)
def ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STAGING", "PRODUCTION"):
        monkeypatch.setenv(f"TARGET_IBAM_{name}_PORT", "8001")


@pytest.mark.django_db
@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_each_of_the_five_systems_goes_round(path: Path, tmp_path: Path) -> None:
    loaded = blueprint.load(path)
    assert loaded.application == path.stem
    created = blueprint.apply(blueprint=loaded, actor=None)
    assert all(change.action is blueprint.Action.CREATE for change in created)
    exported = tmp_path / "exported.yaml"
    exported.write_text(blueprint.export(path.stem))
    again = blueprint.apply(blueprint=blueprint.load(exported), actor=None)
    assert {change.action for change in again} == {blueprint.Action.UNCHANGED}
    assert len(again) == len(created)


def test_there_are_five() -> None:
    assert [path.stem for path in SYSTEMS] == ["ai-sales", "bmad", "ibam", "ibex", "learnr"]


@pytest.mark.django_db
def test_export_writes_references_and_no_values(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARGET_SHOP_STAGING", "postgresql://shop:hunter2@db/shop")
    blueprint.apply(blueprint=blueprint.load(shop), actor=None)
    out = io.StringIO()
    call_command("export", "shop", stdout=out)
    assert "dsn: env:TARGET_SHOP_STAGING" in out.getvalue()
    assert "hunter2" not in out.getvalue()


@pytest.mark.django_db
def test_export_names_what_there_is(shop: Path) -> None:
    blueprint.apply(blueprint=blueprint.load(shop), actor=None)
    with pytest.raises(CommandError, match=r"no application 'shp'\. There are: shop"):
        call_command("export", "shp")


def test_the_words_of_blueprints_are_those_of_the_models() -> None:
    def values(model_: Any, field: str) -> set[str]:
        return {value for value, _ in model_._meta.get_field(field).choices}

    assert set(get_args(model.TierName)) == set(Tier.values) == values(Environment, "tier")
    assert set(get_args(model.DataClassName)) == set(DataClass.values)
    assert set(get_args(model.ComponentKindName)) == set(ComponentKind.values) == values(Component, "kind")
    assert set(get_args(model.VariableKind)) == values(VariableRule, "kind")
    assert set(get_args(model.Strategy)) == values(MaskingRule, "strategy")
    assert set(get_args(model.CleanupKind)) == values(CleanupRule, "kind") == set(model.CLEANUP_SPEC)
    assert {tier.value: trust for tier, trust in TRUST.items()} == model.TRUST


NOWHERE = Surroundings(reference=lambda _: "", url=lambda _: "", variable=lambda _: None)
slugs = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
# Without what looks like credentials, which is refused (and tested elsewhere).
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00=@"), max_size=30)
keys = slugs.map(lambda slug: slug.upper().replace("-", "_"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=5
)
components = st.builds(
    model.Component,
    kind=st.sampled_from(get_args(model.ComponentKindName)),
    provider=st.sampled_from(["", "command", "yes", "null", "1e3"]),
    external_ids=st.dictionaries(texts, texts, max_size=2),
    settings=st.dictionaries(texts, json_values, max_size=3),
)
environments = st.builds(
    model.Environment,
    tier=st.sampled_from(["development", "staging"]),
    order=st.integers(0, 100),
    data_class=st.sampled_from(get_args(model.DataClassName)),
    components=st.dictionaries(slugs, components, max_size=2),
)
blueprints = st.builds(
    model.Blueprint,
    application=slugs,
    name=texts.filter(bool),
    description=texts,
    environments=st.dictionaries(slugs, environments, max_size=3),
    variables=st.lists(
        st.builds(model.Variable, key=keys, allowed=st.lists(texts)), max_size=2, unique_by=lambda variable: variable.key
    ),
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(blueprints)
def test_whatever_is_written_reads_the_same(written: model.Blueprint) -> None:
    assert parse(dump(written), source="made-up", surroundings=NOWHERE) == written


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(st.sampled_from("ab:{}[]-&*!|>'\"#%@`\n \t,?1.~\x00\u2028é"), max_size=60))
def test_no_text_makes_the_parser_stumble(text: str) -> None:
    with pytest.raises(BlueprintError):
        parse(text, source="made-up", surroundings=NOWHERE)
