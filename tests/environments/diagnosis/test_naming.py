import pytest

from environments.diagnosis.naming import unclear

TIERS = {"staging": "staging", "production": "production"}


def kind(staging, production, environment="staging", tiers=TIERS):
    found = unclear(environment, {"staging": staging, "production": production}, tiers)
    return found.kind if found else ""


@pytest.mark.parametrize(
    ("staging", "production"),
    [
        ("ibam-v2", "ibam-v3"),
        ("ibam_2", "ibam_3"),
        ("ibam", "ibam-v2"),
        ("shop2", "shop3"),
        ("Shop-V2", "shop-v3"),
        ("app.1", "app.02"),
    ],
)
def test_names_that_only_a_number_tells_apart_are_unclear_in_both(staging, production):
    assert kind(staging, production) == "only a number"
    assert kind(staging, production, "production") == "only a number"


@pytest.mark.parametrize(
    ("staging", "production"),
    [("shop-staging", "shop-production"), ("stg-shop-v2", "prod-shop-v3"), ("shop-staging-v2", "shop-live-v2"), ("shop", "shop")],
)
def test_names_with_their_role_are_clear(staging, production):
    assert kind(staging, production) == ""
    assert kind(staging, production, "production") == ""


def test_a_name_that_claims_the_role_of_another_environment_is_worse():
    assert kind("shop-production", "shop-live") == "wrong role"
    assert kind("shop-dev", "shop-staging", "production") == "wrong role"


def test_a_name_without_role_is_unclear_though_it_differs():
    assert kind("blue-whale", "shop-production") == "no role"


@pytest.mark.parametrize(
    "generated", ["abcdefghijklmnopqrst", "prj_a8sd7f6a8sd7f6", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "48151623"]
)
def test_generated_ids_are_read_by_nobody(generated):
    assert kind(generated, "shop-production") == ""


def test_an_environment_with_its_own_name_in_it_is_clear():
    tiers = {"blue": "staging", "production": "production"}
    assert unclear("blue", {"blue": "shop-blue", "production": "shop-production"}, tiers) is None
