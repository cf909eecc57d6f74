"""Campaigns as rows, on both databases: they go on by themselves, once, whatever happens to their studies."""

from pathlib import Path
from typing import Any

from studies import service
from studies.campaigns.request import CampaignRequest
from studies.database import Database
from studies.records import Campaign, CampaignState, StudyState
from studies.repository import studies
from studies.service.campaigns import CampaignProgress
from studies.spec import StudySpec
from studies.workers.campaigns import advance_campaign, advance_campaigns
from tests.studies.campaigns.planted import document, train


def create(database: Database, roots: list[Path], given: dict[str, Any] | None = None) -> Campaign:
    prepared = service.prepare_campaign(CampaignRequest(document=given or document()), roots)
    with database.session() as session:
        return service.add_campaign(session, "ada", prepared)


def look(database: Database, campaign: Campaign) -> CampaignProgress:
    with database.read_session() as session:
        return service.campaign_progress(session, "ada", campaign.id)


def spec_of(database: Database, study_id: int | None) -> StudySpec:
    with database.read_session() as session:
        study = studies.get(session, study_id or 0)
    assert study is not None
    return StudySpec.model_validate(study.spec)


def test_it_runs_its_stages_in_order_and_then_the_ladder(database: Database, roots: list[Path]) -> None:
    campaign = create(database, roots)
    for place, adopted in enumerate(({"vocabulary_size": 400}, {"depth": 4}, {})):
        found = look(database, campaign)
        stage = found.stages[place]
        assert (found.campaign.state, stage.state) == (CampaignState.RUNNING, StudyState.QUEUED)
        assert [later.state for later in found.stages[place + 1 :]] == ["WAITING"] * (2 - place)
        assert not advance_campaign(database, campaign.id)
        assert stage.study_id is not None
        train(database, stage.study_id)
        assert advance_campaign(database, campaign.id)
        outcome = look(database, campaign).stages[place].outcome
        assert outcome is not None
        assert adopted.items() <= outcome.adopted.items()
    found = look(database, campaign)
    assert [rung.name for rung in found.rungs] == ["baseline", "tokenizer", "architecture"]
    for rung in found.rungs:
        train(database, rung.study_id or 0)
    advance_campaigns(database)
    assert look(database, campaign).campaign.state is CampaignState.COMPLETED
