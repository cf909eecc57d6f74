"""The web pages: what they show, to whom, and that whatever a user wrote stays text."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.settings import Settings
from api.transport.in_process import InProcessTransport
from studies import service
from studies.recipe.formats import FORMATS
from studies.records import Role, StudyState, Trial, TrialState
from studies.repository import studies, trials, workers
from studies.specs.yaml import load_spec_yaml

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>' </title></textarea>"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Page(HTMLParser):
    """A page as a browser reads it: elements, their attributes, and the text that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        self.data: list[str] = []
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style", "title"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        (self.data if self._inside == ["script"] else self.shown).append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.shown))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def shown_verbs(self) -> set[str | None]:
        return {
            button["data-verb"] for button in self.all("button") if "data-verb" in button and "hidden" not in button
        }


def opened(http: httpx.Client, path: str, status: int = 200) -> Page:
    answer = http.get(path, headers=BROWSER)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def document(name: str = "tiny", **more: Any) -> dict[str, Any]:
    space = {"depth": {"type": "int", "low": 1, "high": 2}}
    return {"name": name, "space": space, "proxy": {"train_bytes": 10_000}, "max_trial_count": 4, **more}


@pytest.fixture
def create(http: httpx.Client) -> Callable[..., int]:
    def create(*given: Any, **more: Any) -> int:
        return int(http.post("/v1/studies", json=document(*given, **more)).raise_for_status().json()["id"])

    return create


def test_an_empty_home_teaches_how_to_begin(http: httpx.Client) -> None:
    html = http.get("/", headers=BROWSER).text
    page = Page(html)
    assert "No study yet" in page.text
    assert "formulary study create first.yaml" in page.text
    spec = load_spec_yaml(_element(html, "first-spec"))
    sent = json.loads(_element(html, "first-post").split("-d '")[1].rstrip("'"))
    created = http.post("/v1/studies", json=sent).raise_for_status().json()
    assert isinstance(spec, dict)
    assert http.post("/v1/studies", json=spec).raise_for_status().json()["spec"] == created["spec"]
    assert created["warnings"] == []
    assert "/v1/studies -H" in _element(html, "first-post")


def _element(html: str, element_id: str) -> str:
    found = re.search(rf'<pre id="{element_id}">(.*?)</pre>', html, re.DOTALL)
    assert found is not None
    return found[1].replace("&#34;", '"').replace("&#39;", "'")


def test_the_list_shows_each_study_at_a_glance(http: httpx.Client, study: int, create: Callable[..., int]) -> None:
    create("waiting")
    page = opened(http, "/")
    assert page.text.index("waiting") < page.text.index("sweep")  # the newest first
    assert {"queued", "completed"} <= set(page.text.split())
    bars = [bar["aria-label"] for bar in page.all("svg") if bar.get("class") == "bar"]
    assert bars == ["0 of 4 trials have ended", "48 of 48 trials have ended"]
    best = http.get(f"/v1/studies/{study}/best-trials").json()["trials"][0]["metrics"]["bits_per_byte"]
    assert f"{best:.4g}" in page.text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["beta 50%", "alpha", "sweep"]),
        ("?show=active", ["beta 50%", "alpha"]),
        ("?show=completed", ["sweep"]),
        ("?show=ended", []),
        ("?q=ALPHA", ["alpha"]),
        ("?q=%25", ["beta 50%"]),
        ("?show=completed&q=alpha", []),
    ],
)
def test_the_list_is_filtered_and_searched(
    http: httpx.Client, study: int, create: Callable[..., int], query: str, names: list[str]
) -> None:
    create("alpha")
    create("beta 50%")
    page = opened(http, f"/{query}")
    assert [name for name in ("beta 50%", "alpha", "sweep") if name in page.text.replace("“alpha”", "")] == names
    assert ("No study matches" in page.text) == (not names)


def test_a_long_list_has_pages_that_keep_the_filter(http: httpx.Client, app: FastAPI) -> None:
    with app.state.database.session() as session:
        for place in range(30):
            service.create_study(session, "local", document(f"study {place:02}"), [])
    first = http.get("/?show=active&q=study", headers=BROWSER).text
    older = re.search(r'href="([^"]*)" rel="next"', first)
    assert older is not None
    link = older[1].replace("&amp;", "&")
    assert "show=active" in link
    assert "q=study" in link
    second = opened(http, link)
    names = re.findall(r"study \d\d", Page(first).text) + re.findall(r"study \d\d", second.text)
    assert names == [f"study {place:02}" for place in reversed(range(30))]
    assert not any(anchor.get("rel") == "next" for anchor in second.all("a"))


def test_says_whether_a_worker_is_alive(http: httpx.Client, app: FastAPI, create: Callable[..., int]) -> None:
    path = f"/studies/{create()}"
    assert "No worker is alive" in opened(http, "/").text
    assert "No worker is alive" in opened(http, path).text
    with app.state.database.session() as session:
        workers.say_alive(session, "host:1:0:m", None)
    assert "1 worker alive" in opened(http, "/").text
    assert "No worker" not in opened(http, path).text


def test_a_study_shows_its_formulas_with_verdicts_and_the_papers_region(http: httpx.Client, study: int) -> None:
    page = opened(http, f"/studies/{study}")
    assert "48 of 48 trials" in page.text
    formulas = http.get(f"/v1/studies/{study}/formulas").json()["formulas"]
    assert len(formulas) == 2
    plots = {plot.get("data-plot") for plot in page.all("div")}
    for formula in formulas:
        assert formula["statement"] in page.text
        assert f"formula-{formula['id']}" in plots
        assert all(reason in page.text for reason in formula["reasons"])
        assert set(formula["coefficients"]) <= set(page.text.split())
    assert len(page.all("math")) == 2
    strips = [strip["aria-label"] for strip in page.all("svg") if strip.get("class") == "strip"]
    assert any("F5: 0.4 to 0.6" in (strip or "") for strip in strips)


def test_the_spec_can_be_copied_and_makes_the_same_study(http: httpx.Client, create: Callable[..., int]) -> None:
    first = create("copied", description="two\nlines: and 'quotes'", tags=["1e3", "yes"], sampler={"kind": "grid"})
    html = http.get(f"/studies/{first}", headers=BROWSER).text
    found = re.search(r'<pre id="spec" tabindex="0">(.*?)</pre>', html, re.DOTALL)
    assert found is not None
    copied = load_spec_yaml(found[1].replace("&#39;", "'").replace("&#34;", '"'))
    specs = [http.get(f"/v1/studies/{first}").json()["spec"]]
    specs.append(http.post("/v1/studies", json=copied).raise_for_status().json()["spec"])
    assert specs[0] == specs[1]


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (StudyState.QUEUED, {"pause", "stop", "cancel", "clone", "delete"}),
        (StudyState.RUNNING, {"pause", "stop", "cancel", "clone"}),
        (StudyState.PAUSED, {"resume", "stop", "cancel", "clone", "delete"}),
        (StudyState.STOPPING, {"cancel", "clone"}),
        (StudyState.COMPLETED, {"clone", "delete"}),
        (StudyState.FAILED, {"clone", "delete"}),
    ],
)
def test_offers_what_the_state_allows(
    http: httpx.Client, app: FastAPI, create: Callable[..., int], state: StudyState, verbs: set[str]
) -> None:
    study_id = create()
    with app.state.database.session() as session:
        studies.set_state(session, study_id, state)
    assert opened(http, f"/studies/{study_id}").shown_verbs() == verbs


def test_an_imported_study_offers_no_clone_and_no_export(http: httpx.Client, study: int) -> None:
    page = opened(http, f"/studies/{study}")
    assert page.shown_verbs() == {"delete"}
    assert not any(form.get("id") == "export-form" for form in page.all("form"))


def test_a_study_with_seeds_shows_their_noise(http: httpx.Client, study: int) -> None:
    table = b"depth,seed,bits_per_byte\n2,0,2.0\n2,1,2.2\n4,0,3.0\n4,1,3.2\n"
    query, headers = {"name": "seeds", "objective": "bits_per_byte"}, {"Content-Type": "text/csv"}
    answer = http.post("/v1/studies:import", params=query, content=table, headers=headers)
    seeded = answer.raise_for_status().json()["id"]
    said = "Runs of one config lie 0.1414 apart between seeds (standard deviation, 2 degrees of freedom)."
    assert said in opened(http, f"/studies/{seeded}").text
    assert "between seeds" not in opened(http, f"/studies/{study}").text


@pytest.fixture
def browse(app: FastAPI, settings: Settings) -> Iterator[Callable[[Role], httpx.Client]]:
    """Clients of the guarded application, with a key of a role."""
    guarded = create_app(settings)
    clients = []

    def client(role: Role) -> httpx.Client:
        with app.state.database.session() as session:
            key = service.create_key(session, "local", role, "browser")[1]
        headers = {"Authorization": f"Bearer {key}"}
        transport = InProcessTransport(guarded)
        clients.append(httpx.Client(transport=transport, base_url="http://127.0.0.1:8000", headers=headers))
        return clients[-1].__enter__()

    with guarded.state.database:
        yield client
        for opened_client in clients:
            opened_client.__exit__(None, None, None)


@pytest.mark.parametrize(("role", "may"), [(Role.READ, False), (Role.WRITE, True), (Role.ADMIN, True)])
def test_shows_buttons_and_export_to_those_who_may(
    browse: Callable[[Role], httpx.Client], planted: int, role: Role, may: bool
) -> None:
    page = opened(browse(role), f"/studies/{planted}")
    assert page.shown_verbs() == ({"clone", "delete"} if may else set())
    assert (
        any(button.get("type") == "submit" and "primary" in (button["class"] or "") for button in page.all("button"))
        is may
    )
    links = [anchor["href"] or "" for anchor in page.all("a")]
    assert any(link.startswith("/ray-dashboard") for link in links) is (role is Role.ADMIN)


def test_offers_every_format(http: httpx.Client, planted: int) -> None:
    page = opened(http, f"/studies/{planted}")
    offered = {option.get("value") for option in page.all("option")}
    assert set(FORMATS) <= offered
    assert all(f"{name}: {format.line}" in page.text for name, format in FORMATS.items())


@pytest.fixture
def hostile(app: FastAPI, create: Callable[..., int]) -> int:
    """A study in which every text that somebody can choose is hostile."""
    study_id = create(HOSTILE[:200], description=HOSTILE, tags=[HOSTILE[:100], "{{ 7 * 7 }}"])
    with app.state.database.session() as session:
        trial = Trial(
            0, TrialState.FAIL, {"depth": 1}, {}, {"note": HOSTILE}, HOSTILE, 1, NOW, NOW + timedelta(seconds=2)
        )
        trials.add_many(session, study_id, [trial])
        studies.set_state(session, study_id, StudyState.FAILED, error=HOSTILE)
    return study_id


def test_what_users_wrote_stays_text(http: httpx.Client, hostile: int) -> None:
    for path in ("/", f"/studies/{hostile}", f"/?q={HOSTILE[:60]}"):
        page = opened(http, path)
        assert "alert(2)" in page.text  # it is shown
        assert not [attributes for attributes in page.all("img") if attributes.get("src") != "/static/icon.svg"]
        assert "49" not in page.text
        _assert_harmless(page)
    page = opened(http, f"/studies/{hostile}")
    assert json.loads(page.data[0])["name"] == HOSTILE[:200]
    assert page.text.count(HOSTILE) >= 2  # description and error


def _assert_harmless(page: Page) -> None:
    """Nothing runs but our own files, and nothing comes from elsewhere."""
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        if tag == "script":
            is_ours = (attributes.get("src") or "").startswith("/static/")
            assert is_ours or attributes.get("type") == "application/json"
        for name in ("src", "href", "action"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), (tag, attributes)
            assert not (attributes.get(name) or "").startswith("//")


def test_pages_of_real_studies_load_nothing_from_elsewhere(http: httpx.Client, study: int, planted: int) -> None:
    for path in ("/", f"/studies/{study}", f"/studies/{planted}", "/studies/999", "/login"):
        _assert_harmless(Page(http.get(path, headers=BROWSER).text))


def test_an_error_is_a_page_for_browsers_and_a_problem_for_programs(http: httpx.Client) -> None:
    assert "there is no study 999" in opened(http, "/studies/999", 404).text
    assert "is not served" in opened(http, "/nowhere", 404).text
    assert "before" in opened(http, "/?before=x", 422).text
    assert http.get("/studies/999").headers["content-type"] == "application/problem+json"
    answer = http.get("/v1/studies/999", headers=BROWSER)
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_policy_of_every_page_forbids_foreign_scripts(http: httpx.Client, study: int) -> None:
    policy = http.get(f"/studies/{study}", headers=BROWSER).headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert directives.get("script-src", "'self'") == "'self'"


def test_assets_are_served_by_us_and_kept_as_long_as_they_hold(http: httpx.Client) -> None:
    plotly = http.get("/static/plotly.min.js")
    assert plotly.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plotly.headers["content-type"].startswith("text/javascript")
    assert b"plotly.js v" in plotly.content[:300]
    style = http.get("/static/formulary.css")
    assert style.headers["cache-control"] == "no-cache"
    again = http.get("/static/formulary.css", headers={"If-None-Match": style.headers["etag"]})
    assert again.status_code == 304
    assert http.get("/static/../app.py").status_code == 404
    assert http.get("/static/%2e%2e/rendering.py").status_code == 404


def test_scripts_and_styles_name_no_other_host(http: httpx.Client) -> None:
    page = Page(http.get("/", headers=BROWSER).text)
    names = [script["src"] for script in page.all("script")] + [sheet["href"] for sheet in page.all("link")]
    for name in names:
        content = http.get(name or "").text
        assert "://" not in content.replace("http://www.w3.org/2000/svg", ""), name
