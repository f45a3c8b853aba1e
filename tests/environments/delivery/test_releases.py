"""What may be recorded as a release."""

from __future__ import annotations

import pytest

from environments.models import Release
from environments.services.errors import Conflict, NotAllowed, ServiceError
from environments.services.releases import record_release
from tests.environments.delivery.conftest import Shop


def test_a_version_is_recorded_once(shop: Shop) -> None:
    shop.release("1.0.0", commit_sha="ABCDEF0123", migrations=["1", "2", "1"])
    release = Release.objects.get()
    assert (release.commit_sha, release.migrations, release.created_by) == ("abcdef0123", ["1", "2"], shop.cast["alice"])
    with pytest.raises(Conflict, match="recorded already"):
        shop.release("1.0.0")


def test_bad_values_are_refused_by_name_and_nothing_is_kept(shop: Shop) -> None:
    for values, said in (
        ({"version": "../../etc"}, "can't be a version"),
        ({"version": ""}, "can't be a version"),
        ({"commit_sha": "main"}, "never a branch"),
        ({"artifacts": {"nowhere": "x"}}, "no component 'nowhere', only web"),
        ({"artifacts": {"web": "--upload-pack=x"}}, "dash"),
        ({"artifacts": {"web": "a\nb"}}, "printable"),
        ({"artifacts": {"web": ""}}, "printable"),
        ({"migrations": ["1; DROP TABLE"]}, "version of a migration"),
        ({"notes": "x" * 20_001}, "notes are longer"),
    ):
        with pytest.raises(ServiceError, match=said):
            record_release(application=shop.application, actor=shop.cast["alice"], **{"version": "1.0.0", **values})  # type: ignore[arg-type]
    assert not Release.objects.exists()


def test_it_needs_the_permission(shop: Shop) -> None:
    for name in ("carol", "mallory"):
        with pytest.raises(NotAllowed):
            record_release(application=shop.application, version="1.0.0", actor=shop.cast[name])
