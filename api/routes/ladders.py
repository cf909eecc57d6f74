"""Ladders of campaigns: what each step brought, and what it cost."""

from typing import Any

from fastapi import APIRouter

from api.dependencies import OwnerGiven, ReadSession
from api.ladder_schemas import LadderResponse
from api.plots.ladder import ladder_figure
from api.routes.paths import CampaignId
from api.schemas import Figure
from studies import service

router = APIRouter(tags=["campaigns"])


@router.get("/campaigns/{campaign_id}/ladder")
def get_ladder(campaign_id: CampaignId, session: ReadSession, owner: OwnerGiven) -> LadderResponse:
    """Compare the rungs in pairs at their common seeds; verdicts come with the last run."""
    return LadderResponse.of(service.campaign_ladder(session, owner, campaign_id))


@router.get("/campaigns/{campaign_id}/plots/ladder", response_model=Figure)
def get_ladder_plot(campaign_id: CampaignId, session: ReadSession, owner: OwnerGiven) -> dict[str, Any]:
    """Draw the ladder: bits per byte after each step, with intervals; a figure for plotly.js."""
    judgement = service.campaign_ladder(session, owner, campaign_id).judgement
    return ladder_figure(judgement.rungs if judgement else ())
