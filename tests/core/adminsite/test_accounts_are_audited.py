"""Who may approve rests on accounts and groups: what the admin changes there is in the audit trail."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from controlplane.core.models import AuditEvent


@pytest.fixture
def root(cast: dict[str, Any]) -> Client:
    cast["alice"].is_superuser = True
    cast["alice"].save()
    client = Client()
    client.force_login(cast["alice"])
    return client


def latest() -> tuple[str, str, str]:
    event = AuditEvent.objects.latest("id")
    return event.actor_name, event.action, event.subject_label


def test_setting_somebodys_password(root: Client, cast: dict[str, Any]) -> None:
    new = "a new long passphrase"
    form = {"password1": new, "password2": new, "usable_password": "true", "set-password": "1"}
    assert root.post(f"/admin/auth/user/{cast['bob'].pk}/password/", form).status_code == 302
    cast["bob"].refresh_from_db()
    assert cast["bob"].check_password(new)
    assert latest() == ("alice", "user.changed", "bob")
    kept = str(AuditEvent.objects.latest("id").data)
    assert "password" in kept
    assert new not in kept
    assert cast["bob"].password not in kept


def test_making_an_account(root: Client) -> None:
    form = {
        "username": "second",
        "password1": "a new long passphrase",
        "password2": "a new long passphrase",
        "usable_password": "true",
    }
    assert root.post("/admin/auth/user/add/", form).status_code == 302
    assert latest() == ("alice", "user.added", "second")


def test_putting_somebody_into_a_group(root: Client, cast: dict[str, Any]) -> None:
    mallory = cast["mallory"]
    form = {
        "username": "mallory", "is_active": "on", "is_staff": "on", "groups": [Group.objects.get(name="Approver").pk],
        "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "last_login_0": "", "last_login_1": "",
    }  # fmt: skip
    assert root.post(f"/admin/auth/user/{mallory.pk}/change/", form).status_code == 302
    assert latest() == ("alice", "user.changed", "mallory")
    assert AuditEvent.objects.latest("id").data["groups"] == ["Approver"]


def test_changing_what_a_group_may(root: Client) -> None:
    group = Group.objects.get(name="Viewer")
    assert root.post(f"/admin/auth/group/{group.pk}/change/", {"name": "Viewer", "permissions": []}).status_code == 302
    assert latest() == ("alice", "group.changed", "Viewer")
    assert AuditEvent.objects.latest("id").data["permissions"] == []


def test_deleting_an_account(root: Client) -> None:
    gone = User.objects.create_user("gone")
    assert root.post(f"/admin/auth/user/{gone.pk}/delete/", {"post": "yes"}).status_code == 302
    assert latest() == ("alice", "user.deleted", "gone")
