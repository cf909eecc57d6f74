"""A study's page in a browser, over real HTTP: it follows the study, its buttons work, nothing leaves the origin."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect, sync_playwright

from api.app import create_app
from api.settings import load_settings
from search.plan import Plan
from studies import service
from studies.database import Database
from studies.records import IntermediateValue, Role, StudyState, TrialState
from studies.repository import attempts, studies
from studies.spec import search_problem
from studies.specs.parsing import parse_spec

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
DEADLINE_MS = 60_000
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"

SPEC: dict[str, Any] = {
    "name": f"live {HOSTILE}",
    "space": {
        "depth": {"type": "categorical", "choices": [1, 2, 4, 8]},
        "batch_tokens": {"type": "categorical", "choices": [512, 1024, 2048]},
    },
    "inner": {"learning_rate": [1e-3, 2e-3, 4e-3]},
    "sampler": {"kind": "grid"},
    "proxy": {"train_bytes": 100_000, "width": 32, "head_dim": 16},
    "max_trial_count": 36,
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is installed"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to run as root with it
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    app = create_app(load_settings(home=tmp_path / "home", environment={}))
    with app.state.database as database:
        database.migrate()
        yield app


@pytest.fixture
def study(app: FastAPI) -> int:
    """A study that runs, with nothing done yet."""
    with app.state.database.session() as session:
        study_id = service.create_study(session, "local", SPEC, []).id
        studies.set_state(session, study_id, StudyState.RUNNING, started_at=datetime.now(UTC))
    return study_id


class Watched:
    """A page, and everything that must not happen on it."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.set_default_timeout(DEADLINE_MS)
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(f"a dialog says {dialog.message}"))
        local = (address, "data:", "blob:")
        page.on("request", lambda sent: None if sent.url.startswith(local) else self.wrong.append(f"asked {sent.url}"))


@pytest.fixture
def watched(app: FastAPI, browser: Browser, serve: Callable[[FastAPI], str], study: int) -> Watched:
    """The study's page, in a browser that logged in as people do."""
    address = serve(app)
    with app.state.database.session() as session:
        key, _ = service.create_key(session, "local", Role.ADMIN, "test")
        code = service.create_login_code(session, key.id)
    watched = Watched(browser.new_page(), address)
    watched.page.goto(f"{address}/login?code={code}")
    watched.page.goto(f"{address}/studies/{study}")
    return watched


@pytest.fixture
def plan() -> Plan:
    return Plan(search_problem(parse_spec(SPEC), "study-1", Path()), [])


def run_trial(database: Database, study: int, plan: Plan, loss: float, reason: str | None = None) -> None:
    """The next trial, from its start to its end."""
    (trial,) = plan.start_next()
    now = datetime.now(UTC)
    state = TrialState.FAIL if reason else TrialState.COMPLETE
    values = [IntermediateValue(trial.number, step, "bits_per_byte", loss + 1 / step) for step in (1, 2)]
    with database.session() as session:
        attempts.start(session, study, trial.number, trial.parameters, trial.attributes, now)
        attempts.report(session, study, values)
        metrics = {} if reason else {"bits_per_byte": loss, "total_parameters": 300_000.0}
        attempts.finish(session, study, trial.number, state, metrics, {}, reason, now)


def test_a_page_follows_its_study_without_being_loaded_again(
    app: FastAPI, watched: Watched, study: int, plan: Plan
) -> None:
    page, database = watched.page, app.state.database
    expect(page.locator("#connection")).to_have_text("Live", timeout=DEADLINE_MS)
    page.evaluate("window.loadedOnce = true")
    run_trial(database, study, plan, 3.5)
    run_trial(database, study, plan, 3.25)
    run_trial(database, study, plan, 9.0, reason=HOSTILE)
    expect(page.locator("#ended")).to_have_text("3", timeout=DEADLINE_MS)
    expect(page.locator("#best-value")).to_have_text("3.25", timeout=DEADLINE_MS)
    expect(page.locator("#trials tbody tr")).to_have_count(3, timeout=DEADLINE_MS)
    expect(page.locator("#trials .reason")).to_have_text(HOSTILE, timeout=DEADLINE_MS)
    expect(page.locator("h1")).to_contain_text(HOSTILE)
    drawn = page.locator('[data-plot="learning-curves"] .scatterlayer .trace')
    expect(drawn.first).to_be_visible(timeout=DEADLINE_MS)

    page.locator("#trials tbody tr", has_text="3.25").click()
    expect(page.locator("#selected")).to_contain_text("trial 1")
    expect(page.locator('[data-plot="learning-curves"] .legendtext', has_text="trial 1")).to_be_visible(
        timeout=DEADLINE_MS
    )

    end_with_formulas(database, study, plan)
    expect(page.locator("#state")).to_have_text("completed", timeout=DEADLINE_MS)
    with database.read_session() as session:
        fitted = service.list_formulas(session, "local", study)
    assert {formula.kind for formula in fitted} >= {"depth_width", "learning_rate_batch"}
    expect(page.locator("article.formula")).to_have_count(len(fitted), timeout=DEADLINE_MS)
    expect(page.locator('[data-verb="pause"]')).to_be_hidden()
    assert page.evaluate("window.loadedOnce") is True
    assert watched.wrong == []


def end_with_formulas(database: Database, study: int, plan: Plan) -> None:
    for number in range(3, 36):
        run_trial(database, study, plan, 3 + 0.1 * (number % 3 - 1) ** 2 + 0.02 * (number // 9))
    with database.session() as session:
        studies.set_state(session, study, StudyState.COMPLETED, finished_at=datetime.now(UTC))
        service.fit_and_store(session, study)


def test_buttons_ask_first_and_then_do_it(app: FastAPI, watched: Watched, study: int) -> None:
    page = watched.page
    page.locator('[data-verb="pause"]').click()
    page.get_by_role("button", name="Keep as it is").click()
    assert state(app, study) is StudyState.RUNNING
    page.locator('[data-verb="pause"]').click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#state")).to_have_text("paused", timeout=DEADLINE_MS)
    assert state(app, study) is StudyState.PAUSED
    page.locator('[data-verb="resume"]').click()  # loses nothing, so that it is not asked about
    expect(page.locator("#state")).to_have_text("queued", timeout=DEADLINE_MS)
    page.locator('[data-verb="clone"]').click()
    page.locator("#confirm-yes").click()
    page.wait_for_url("**/studies/2")
    assert watched.wrong == []


def state(app: FastAPI, study: int) -> StudyState:
    with app.state.database.read_session() as session:
        return service.get_study(session, "local", study).state


def test_the_theme_is_kept(watched: Watched) -> None:
    page = watched.page
    shown: Any = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    page.emulate_media(color_scheme="light")
    light = shown()
    page.locator("#theme").click()
    dark = shown()
    page.reload()
    assert shown() == dark != light
    assert watched.wrong == []


def test_the_front_of_several_objectives_follows_its_study(app: FastAPI, watched: Watched) -> None:
    speed = {"metric": "decode_tokens_per_second", "direction": "maximize"}
    several = {**SPEC, "name": "several", "objectives": [{"metric": "bits_per_byte"}, speed]}
    with app.state.database.session() as session:
        study = service.create_study(session, "local", several, []).id
        studies.set_state(session, study, StudyState.RUNNING, started_at=datetime.now(UTC))
    page = watched.page
    page.goto(page.url.replace("/studies/1", f"/studies/{study}"))
    expect(page.locator("#connection")).to_have_text("Live", timeout=DEADLINE_MS)
    expect(page.locator("#front-trials")).to_contain_text("No trial has finished yet.")
    network: dict[str, Any] = {"ffn_width": 88, "heads": 2, "kv_heads": 2}
    planted = [(3.0, 50.0), (2.5, 100.0), (2.6, 700.0), (2.9, 800.0)]
    for number, (loss, tokens) in enumerate(planted):
        now = datetime.now(UTC)
        metrics = {"bits_per_byte": loss, "decode_tokens_per_second": tokens}
        with app.state.database.session() as session:
            attempts.start(session, study, number, {"depth": 1 + number}, network, now)
            attempts.finish(session, study, number, TrialState.COMPLETE, metrics, network, None, now)
    expect(page.locator("#front-trials tbody tr")).to_have_count(3, timeout=DEADLINE_MS)
    expect(page.locator("#front-trials tr", has_text="knee")).to_contain_text("700")
    expect(page.locator("#best-card")).to_contain_text("trial 2 of 3 on the front")
    page.locator('[data-plot="pareto"]').scroll_into_view_if_needed()
    expect(page.locator('[data-plot="pareto"] .legendtext', has_text="knee, trial 2")).to_be_visible(
        timeout=DEADLINE_MS
    )
    page.locator('[data-plot="hypervolume"]').scroll_into_view_if_needed()
    expect(page.locator('[data-plot="hypervolume"] .scatterlayer .trace').first).to_be_visible(timeout=DEADLINE_MS)
    assert watched.wrong == []
