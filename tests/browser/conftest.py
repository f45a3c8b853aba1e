"""A real Chromium against a live server. Rows are made before the browser asks: Playwright's loop runs in this thread."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.rows import World, make_world

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
STAGING = """
CREATE TABLE learners (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, fullname text);
CREATE TABLE sessions (id bigint PRIMARY KEY, title text, price numeric(10,2), left_over text);
CREATE FUNCTION price_of(n integer) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
    -- the fee is added by the shop
    RETURN n * 2.0;
END $$;
CREATE VIEW cheap AS SELECT id, title FROM sessions WHERE price < 10;
"""
PRODUCTION = """
CREATE TABLE learners (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, full_name text);
CREATE TABLE sessions (
    id bigint PRIMARY KEY, title varchar(80) NOT NULL DEFAULT '', price numeric(10,2) CHECK (price > 0),
    accountability_triggers jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX sessions_triggers ON sessions USING gin (accountability_triggers);
CREATE TABLE invoices (id bigint PRIMARY KEY, learner_id bigint NOT NULL REFERENCES learners, total numeric(10,2) NOT NULL);
CREATE FUNCTION price_of(n integer) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
    -- the fee is added here
    RETURN n * 2.0 + 0.35;
END $$;
CREATE VIEW cheap AS SELECT id, title FROM sessions WHERE price < 20;
COMMENT ON TABLE sessions IS 'what learners book';
"""
PASSWORD = "correct horse battery"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None and os.environ.get("EVENKEEL_REQUIRE_BROWSER"):
                pytest.exit("EVENKEEL_REQUIRE_BROWSER is set and there is no Chromium.", returncode=1)
            if CHROMIUM is None:
                item.add_marker(
                    pytest.mark.skip(reason="No Chromium here: neither chromium, chromium-browser nor google-chrome is on PATH.")
                )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def world(transactional_db: Any, cast: dict[str, Any]) -> World:
    return make_world(alice=cast["alice"], bob=cast["bob"])


@pytest.fixture
def drifted(world: World, make_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> World:
    """The same world with real databases behind staging and production, whose schemas differ."""
    for database in (world.staging.databases.get(), world.database):
        statements = STAGING if database.environment == world.staging else PRODUCTION
        monkeypatch.setenv(database.dsn_ref.removeprefix("env:"), make_database(statements))
    return world


@pytest.fixture
def troubles() -> list[str]:
    """What the browser's console complained of: script errors, missing files, breaches of the page's policy."""
    return []


@pytest.fixture
def open_page(chromium: Any, live_server: Any, troubles: list[str]) -> Iterator[Callable[..., Any]]:
    """``open_page(user, scheme="light", width=1280)`` -> a page, logged in as the user; troubles fail the test."""
    contexts: list[Any] = []

    def open_as(name: str | None, *, scheme: str = "light", width: int = 1280) -> Any:
        context = chromium.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, base_url=live_server.url, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        if name is not None:
            page.goto("/admin/login/")
            page.fill("#id_username", name)
            page.fill("#id_password", PASSWORD)
            page.click("input[type=submit]")
            page.wait_for_selector("#user-tools")
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def shoot() -> Callable[[Any, str], None]:
    """Saves a screenshot where EVENKEEL_SCREENSHOTS names a directory."""
    directory = os.environ.get("EVENKEEL_SCREENSHOTS")

    def save(page: Any, name: str) -> None:
        if directory:
            Path(directory).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(directory) / f"{name}.png"), full_page=name != "promotion-page")

    return save
