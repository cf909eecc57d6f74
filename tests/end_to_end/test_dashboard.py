"""The Ray dashboard of ``formulary serve``, as an admin sees it in a browser while a study runs."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from api.server.record import ServerRecord

pytestmark = pytest.mark.chaos

FORMULARY = str(Path(sys.executable).with_name("formulary"))
DEADLINE_S = 240.0
STOP_S = 90.0
DIALOG = "Authentication Token Required"
"""Title of the dialog in which Ray's dashboard asks for the token."""

SPEC = {
    "name": "watched",
    "space": {"depth": {"type": "categorical", "choices": [1, 2, 4]}},
    "inner": {"learning_rate": [4e-3, 1e-2], "seed": list(range(500))},
    "sampler": {"kind": "grid"},
    "proxy": {
        "corpus": {"kind": "builtin"},
        "train_bytes": 20000,
        "sequence_length": 64,
        "vocabulary_size": 300,
        "width": 32,
        "head_dim": 8,
        "batch_tokens": 512,
        "validation_bytes": 10000,
        "evaluations": 2,
    },
    "max_trial_count": 3000,  # it is cancelled at the end
    "parallel_trial_count": 2,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next((found for name in names if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no Chromium is installed (looked for {', '.join(names)})")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to sandbox for root
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=executable, args=sandbox) as found:
        yield found


@pytest.fixture(scope="module")
def home(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of a service that runs, with its worker and its Ray."""
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "FORMULARY_"))}
    with (home / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [FORMULARY, "serve", "--home", str(home), "--port", "0"],
            env={**environment, "HOME": str(home)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_until(lambda: (home / "server.json").exists() or process.poll() is not None)
    assert process.poll() is None, (home / "serve.log").read_text()
    yield home
    process.terminate()
    process.wait(STOP_S)


@pytest.fixture(scope="module")
def study(home: Path) -> Iterator[int]:
    """The id of a study that runs, and has trials."""
    record = ServerRecord.read(home / "server.json")
    assert record is not None
    with httpx.Client(base_url=record.base_url, headers={"Authorization": f"Bearer {record.key}"}) as http:
        created = http.post("/v1/studies", json=SPEC)
        assert created.status_code == 201, created.text
        study = int(created.json()["id"])
        complete = {"state": "COMPLETE"}
        wait_until(
            lambda: complete["state"] in {t["state"] for t in http.get(f"/v1/studies/{study}/trials").json()["trials"]}
        )
        yield study
        http.post(f"/v1/studies/{study}:cancel")


@pytest.fixture(scope="module")
def page(browser: Browser, home: Path, study: int) -> Page:
    """A browser that has logged in with a link, and was sent to the study's job."""
    record = ServerRecord.read(home / "server.json")
    assert record is not None
    link = subprocess.run([FORMULARY, "login-link", "--home", str(home)], capture_output=True, text=True, check=True)
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(link.stdout.strip())
    page.goto(f"{record.base_url}/ray-dashboard?study={study}")
    return page


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def reload_until(page: Page, address: str, *words: str) -> None:
    """Open a page of the dashboard again and again until it shows the words."""
    deadline = time.monotonic() + DEADLINE_S
    missing = list(words)
    while missing:
        assert time.monotonic() < deadline, f"{missing} not in: {page.inner_text('body')}"
        page.goto("about:blank")
        page.goto(address)
        page.wait_for_timeout(3000)
        shown = page.inner_text("body")
        missing = [word for word in words if not re.search(word, shown)]


def test_the_redirect_opens_the_job_with_its_log(page: Page, study: int) -> None:
    assert page.url.endswith(f"/#/jobs/study-{study}-run-1")
    reload_until(page, page.url, "RUNNING", f'"job_name": "study-{study}"', r"trial \d+ complete: bits_per_byte")
    assert DIALOG not in page.inner_text("body")


def test_jobs_lists_the_study_by_name(page: Page, study: int) -> None:
    reload_until(page, f"{page.url.split('#')[0]}#/jobs", f"study-{study}\tstudy-{study}-run-1", "RUNNING")


def test_actors_are_the_slots_whose_logs_name_the_trials(page: Page, study: int) -> None:
    actors = f"{page.url.split('#')[0]}#/actors"
    reload_until(page, actors, *(rf"study-{study}/slot-{slot}\b" for slot in (0, 1)))
    row = page.locator("tr", has_text=f"study-{study}/slot-0").first
    row.locator("a").first.click()
    expect(page.get_by_text(re.compile(r"trial \d+ starts: depth=")).first).to_be_visible(timeout=DEADLINE_S * 1000)


def test_whoever_has_no_cookie_is_asked_for_the_token(browser: Browser, page: Page) -> None:
    stranger = browser.new_context().new_page()
    stranger.goto(page.url.split("#")[0])
    expect(stranger.get_by_text(DIALOG)).to_be_visible(timeout=DEADLINE_S * 1000)
