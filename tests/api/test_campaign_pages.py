"""A campaign's ladder over HTTP, as figure, on pages and in a terminal; what users wrote stays text."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from rich.console import Console

from api.app import create_app
from api.campaign_markdown import campaign_markdown, markdown_table
from api.settings import Settings, load_settings
from api.terminal.ladder_report import print_ladder
from api.transport.in_process import InProcessTransport
from api.web import campaign_page
from studies import service
from studies.campaigns.request import CampaignRequest
from studies.database import Database
from studies.records import StudyState
from studies.repository import studies
from studies.workers.campaigns import advance_campaign
from tests.studies.campaigns.planted import document, planted_loss, train

BROWSER = {"Accept": "text/html"}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("campaigns")
    (folder / "text.txt").write_text("\n".join(f"the line {number} of a text" for number in range(4000)))
    return load_settings(home=folder / "home", environment={"FORMULARY_CORPUS_ROOTS": str(folder)})


@pytest.fixture(scope="module")
def app(settings: Settings) -> Iterator[FastAPI]:
    app = create_app(settings, trusted=True)
    with app.state.database as database:
        database.migrate()
        yield app


@pytest.fixture(scope="module")
def http(app: FastAPI) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcessTransport(app), base_url="http://test") as client:
        yield client


def test_a_home_without_campaigns_says_how_to_begin_one(http: httpx.Client) -> None:
    assert "formulary campaign create preset:paper-cpu" in http.get("/campaigns", headers=BROWSER).text
    assert http.get("/campaigns/7", headers=BROWSER).status_code == 404


def create(database: Database, settings: Settings, **changes: Any) -> int:
    prepared = service.prepare_campaign(CampaignRequest(document={**document(), **changes}), settings.corpus_roots)
    with database.session() as session:
        return service.add_campaign(session, "local", prepared).id


def end_study(database: Database, campaign_id: int) -> None:
    """Train the studies that wait, and let the campaign go on."""
    with database.read_session() as session:
        progress = service.campaign_progress(session, "local", campaign_id)
    parts = [*progress.stages, *progress.rungs]
    for study_id in dict.fromkeys(part.study_id for part in parts if part.state is StudyState.QUEUED):
        train(database, study_id or 0, wobbling)
        with database.session() as session:
            begun = datetime(2026, 1, 1, tzinfo=UTC)
            studies.set_state(session, study_id or 0, StudyState.COMPLETED, started_at=begun, finished_at=begun)
    advance_campaign(database, campaign_id)


def wobbling(values: Any) -> float:
    """With noise by seed and setting, so that differences have an interval."""
    wobble = (values["seed"] * 7919 + values["vocabulary_size"] * 31 + values["depth"] * 17) % 13
    return planted_loss(values) + 0.0004 * wobble


@pytest.fixture(scope="module")
def complete(app: FastAPI, settings: Settings) -> int:
    """A campaign that has ended."""
    campaign_id = create(app.state.database, settings, name=f"tiny {HOSTILE}")
    for _ in range(5):
        end_study(app.state.database, campaign_id)
    return campaign_id


def test_the_ladder_of_a_campaign_that_has_ended(http: httpx.Client, complete: int) -> None:
    ladder = http.get(f"/v1/campaigns/{complete}/ladder").raise_for_status().json()
    judgement = ladder["judgement"]
    assert judgement["finished"] is True
    assert [rung["label"] for rung in judgement["rungs"]] == ["baseline", "tokenizer", "architecture"]
    assert [rung["runs"] for rung in judgement["rungs"]] == [3, 3, 3]
    steps = [rung["step"] for rung in judgement["rungs"][1:]]
    assert [step["difference"]["estimate"] < 0 for step in steps] == [True, True]
    assert steps[1]["verdict"] == "improved"
    assert [rung["paper_score"] for rung in judgement["rungs"]] == [42.41, 44.11, 46.53]
    assert [cost["name"] for cost in ladder["costs"]] == [
        "tokenizer",
        "architecture",
        "rate",
        "baseline",
        "tokenizer",
        "architecture",
    ]
    assert ladder["total"]["wall_seconds"] == 0


def test_there_is_no_verdict_before_the_rungs_have_ended(app: FastAPI, http: httpx.Client, settings: Settings) -> None:
    campaign_id = create(app.state.database, settings)
    for _ in range(3):
        end_study(app.state.database, campaign_id)
    judgement = http.get(f"/v1/campaigns/{campaign_id}/ladder").json()["judgement"]
    assert (judgement["finished"], judgement["rungs"][1]["step"]["verdict"]) == (False, None)
    assert [rung["missing"] for rung in judgement["rungs"]] == [3, 3, 3]
    assert http.get(f"/v1/campaigns/{campaign_id}/plots/ladder").json()["data"] == []
    assert "not yet" in http.get(f"/campaigns/{campaign_id}", headers=BROWSER).text


def test_the_figure_has_a_step_for_each_rung(http: httpx.Client, complete: int) -> None:
    figure = http.get(f"/v1/campaigns/{complete}/plots/ladder").raise_for_status().json()
    assert figure["layout"]["xaxis"]["ticktext"] == ["baseline", "tokenizer", "architecture"]
    steps = next(trace for trace in figure["data"] if trace["mode"] == "lines" and len(trace["x"]) == 6)
    judgement = http.get(f"/v1/campaigns/{complete}/ladder").json()["judgement"]
    means = [rung["mean"]["estimate"] for rung in judgement["rungs"]]
    assert steps["y"] == [mean for mean in means for _ in range(2)]
    markers = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    assert sum(len(trace["x"]) for trace in markers) == 3
    assert all(trace["error_y"]["array"][0] > 0 for trace in markers)


def test_a_campaign_s_page_shows_its_stages_and_its_ladder(http: httpx.Client, complete: int) -> None:
    html = http.get(f"/campaigns/{complete}", headers=BROWSER).raise_for_status().text
    assert HOSTILE not in html
    assert "tiny &lt;img src=x onerror=alert(1)&gt;" in html
    for study_id in range(1, 7):
        assert f'href="/studies/{study_id}"' in html
    assert '<span class="muted">vocabulary size</span> 400' in html
    assert "improved" in html
    assert "higher is better (arXiv 2402.02791, figure 1" in html
    data = json.loads(html.split('id="campaign-data">')[1].split("</script>")[0])
    assert (data["path"], data["home"]) == (f"/v1/campaigns/{complete}", "/campaigns")


def test_pages_lead_from_studies_to_campaigns_and_back(http: httpx.Client, complete: int) -> None:
    assert 'href="/campaigns"' in http.get("/", headers=BROWSER).text
    listed = http.get("/campaigns", headers=BROWSER).text
    assert f'href="/campaigns/{complete}"' in listed
    assert HOSTILE not in listed
    shown = http.get(f"/v1/campaigns/{complete}").json()
    ended = sum(part["ended"] for part in [*shown["stages"], *shown["rungs"]])
    assert f"{ended} trials" in listed
    stage = http.get("/studies/1", headers=BROWSER).text
    assert f'href="/campaigns/{complete}"' in stage
    assert HOSTILE not in stage


def test_older_campaigns_are_on_further_pages(
    app: FastAPI, http: httpx.Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = create(app.state.database, settings)
    monkeypatch.setattr(campaign_page, "PAGE_SIZE", 1)
    create(app.state.database, settings)
    page = http.get("/campaigns", headers=BROWSER).text
    assert f'href="/campaigns/{first}"' not in page
    assert f'href="/campaigns?before={first + 1}"' in page
    assert f'href="/campaigns/{first}"' in http.get(f"/campaigns?before={first + 1}", headers=BROWSER).text


def test_the_terminal_shows_the_same(http: httpx.Client, complete: int) -> None:
    ladder = http.get(f"/v1/campaigns/{complete}/ladder").json()
    written = io.StringIO()
    print_ladder(Console(file=written, width=200, markup=False), ladder)
    said = written.getvalue()
    mean = ladder["judgement"]["rungs"][2]["mean"]["estimate"]
    assert f"{mean:.4f}" in said
    assert "improved by 2.42 points of score" in said
    assert "another quantity than bits per byte" in said.replace("\n", " ")


def test_a_write_up_has_stages_formulas_ladder_and_cost(http: httpx.Client, complete: int) -> None:
    campaign = http.get(f"/v1/campaigns/{complete}").json()
    ladder = http.get(f"/v1/campaigns/{complete}/ladder").json()
    claim = {"formula": "F2", "region": [None, 0.0], "test": "sign"}
    coefficient = {"estimate": -0.25, "low": -0.5, "high": None, "paper": claim, "verdict": "undetermined"}
    law = {"kind": "depth_width", "statement": "deeper * better", "verdict": "undetermined", "reasons": ["too few"]}
    study = campaign["stages"][1]["study_id"]
    written = campaign_markdown(campaign, ladder, {study: [{**law, "coefficients": {"rank_of_depth": coefficient}}]})
    assert f"tiny \\{HOSTILE[:-1]}\\>" in written
    assert "| rank of depth | -0.25 | -0.5 to ∞ | F2: -∞ to 0 | undetermined |" in written
    assert "**architecture: depth width.** deeper \\* better" in written
    assert "Verdict: undetermined: too few." in written
    assert f"{ladder['judgement']['rungs'][2]['mean']['estimate']:.4f}" in written
    assert "vocabulary size 400" in written


def test_markdown_cells_hold_whatever_they_are_given() -> None:
    table = markdown_table(("a", "b"), [("x|y", "<script>\n`z`")])
    assert table.splitlines()[2] == "| x\\|y | \\<script\\> \\`z\\` |"
