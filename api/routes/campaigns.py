"""Campaigns: planned, created, looked at, controlled, deleted."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response, status

from api.campaign_schemas import CampaignItem, CampaignPage, CampaignResponse
from api.dependencies import OwnerGiven, ReadSession, SettingsGiven, WriteSession, get_database
from api.idempotency import IdempotentRoute
from api.pages import DEFAULT_PAGE_SIZE, PageSize, PageToken, cut
from api.routes.paths import CampaignId
from studies import service
from studies.campaigns.request import CampaignPlan, CampaignRequest
from studies.database import Database, Session
from studies.records import Campaign
from studies.service.campaigns import ResumeRequest

router = APIRouter(tags=["campaigns"], route_class=IdempotentRoute)

Action = Literal["pause", "cancel"]
ACTIONS: dict[Action, Callable[..., Campaign]] = {"pause": service.pause_campaign, "cancel": service.cancel_campaign}
GoOn = Annotated[
    bool, Query(description="Answer 200 with the newest unfinished campaign of this document, if there is one.")
]


def prepare_campaign(request: CampaignRequest, settings: SettingsGiven) -> service.PreparedCampaign:
    """The campaign of the body, checked. Routes name it before their session: texts are read outside of it."""
    return service.prepare_campaign(request, settings.corpus_roots)


def prepare_resumption(
    campaign_id: CampaignId,
    owner: OwnerGiven,
    settings: SettingsGiven,
    database: Annotated[Database, Depends(get_database)],
    request: ResumeRequest = ResumeRequest(),  # noqa: B008 (frozen; a call without a body)
) -> service.Resumption:
    """What the campaign is to go on with, checked."""
    with database.read_session() as session:
        return service.prepare_resumption(session, owner, campaign_id, request, settings.corpus_roots)


@router.post("/campaigns:plan")
def plan_campaign(prepared: Annotated[service.PreparedCampaign, Depends(prepare_campaign)]) -> CampaignPlan:
    """Say what a campaign would train and cost; nothing is created."""
    return service.plan_of(prepared.parsed)


@router.post("/campaigns", status_code=status.HTTP_201_CREATED)
def create_campaign(
    prepared: Annotated[service.PreparedCampaign, Depends(prepare_campaign)],
    session: WriteSession,
    owner: OwnerGiven,
    response: Response,
    continue_unfinished: GoOn = False,
) -> CampaignResponse:
    """Create a campaign with the queued study of its first stage; the others follow by themselves."""
    unfinished = service.find_unfinished_campaign(session, owner, prepared) if continue_unfinished else None
    if unfinished is not None:
        response.status_code = status.HTTP_200_OK
        return _shown(session, unfinished)
    return _shown(session, service.add_campaign(session, owner, prepared))


@router.get("/campaigns")
def list_campaigns(
    session: ReadSession, owner: OwnerGiven, page_size: PageSize = DEFAULT_PAGE_SIZE, page_token: PageToken = None
) -> CampaignPage:
    """List campaigns, newest first."""
    found = service.list_campaigns(session, owner, page_token, page_size + 1)
    page, token = cut(found, page_size, lambda campaign: campaign.id)
    return CampaignPage(campaigns=[CampaignItem.model_validate(one) for one in page], next_page_token=token)


@router.get("/campaigns/{campaign_id}")
def get_campaign(campaign_id: CampaignId, session: ReadSession, owner: OwnerGiven) -> CampaignResponse:
    """Show a campaign: how far its stages and rungs are, and what was adopted."""
    return CampaignResponse.of(service.campaign_progress(session, owner, campaign_id))


@router.get("/campaigns/{campaign_id}/plan")
def get_plan(campaign_id: CampaignId, session: ReadSession, owner: OwnerGiven) -> CampaignPlan:
    """Say what a campaign was to train and cost before anything was adopted."""
    return service.stored_plan(session, owner, campaign_id)


@router.post("/campaigns/{campaign_id}:resume")
def resume_campaign(
    resumption: Annotated[service.Resumption, Depends(prepare_resumption)], session: WriteSession, owner: OwnerGiven
) -> CampaignResponse:
    """Let a campaign go on that rests, has failed or was cancelled; what did not end well is begun anew.

    The body may hold another study for a stage that failed.
    """
    return _shown(session, service.resume_campaign(session, owner, resumption))


@router.post("/campaigns/{campaign_id}:{action}")
def control_campaign(
    campaign_id: CampaignId, action: Action, session: WriteSession, owner: OwnerGiven
) -> CampaignResponse:
    """Let a campaign rest, or give it up, with its studies that have not ended."""
    return _shown(session, ACTIONS[action](session, owner, campaign_id))


@router.delete("/campaigns/{campaign_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_campaign(campaign_id: CampaignId, session: WriteSession, owner: OwnerGiven) -> None:
    """Delete a campaign that has ended; its studies stay."""
    service.delete_campaign(session, owner, campaign_id)


def _shown(session: Session, campaign: Campaign) -> CampaignResponse:
    return CampaignResponse.of(service.campaign_progress(session, campaign.owner, campaign.id))
