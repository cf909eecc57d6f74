"""Campaigns: created with the study of their first stage, found, listed."""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from studies.campaigns.parsing import parse_campaign
from studies.campaigns.request import CampaignPlan
from studies.errors import NotFound
from studies.records import Campaign, CampaignState
from studies.repository import campaigns, owners
from studies.service.campaigns.preparing import PreparedCampaign, plan_of
from studies.service.campaigns.steps import first_step, take_step

UNFINISHED = frozenset({CampaignState.RUNNING, CampaignState.PAUSED})


def add_campaign(session: Session, owner: str, prepared: PreparedCampaign) -> Campaign:
    """Store a campaign with the queued study of its first stage.

    Raises:
        InvalidInput: a study that its first stage starts from is not the owner's.
    """
    now, document = datetime.now(UTC), prepared.parsed.document
    owners.ensure(session, owner, now)
    stored = document.model_dump(mode="json")
    campaign = campaigns.add(session, owner, document.name, stored, prepared.digest, now)
    take_step(session, first_step(campaign, prepared.parsed.stages[0]))
    return get_campaign(session, owner, campaign.id)


def find_unfinished_campaign(session: Session, owner: str, prepared: PreparedCampaign) -> Campaign | None:
    """The newest campaign of this very document that can go on."""
    return campaigns.find_by_digest(session, owner, prepared.digest, UNFINISHED)


def get_campaign(session: Session, owner: str, campaign_id: int) -> Campaign:
    """Find a campaign.

    Raises:
        NotFound: the owner has no such campaign.
    """
    campaign = campaigns.get(session, campaign_id)
    if campaign is None or campaign.owner != owner:
        raise NotFound(f"there is no campaign {campaign_id}")
    return campaign


def list_campaigns(session: Session, owner: str, before_id: int | None, size: int | None) -> list[Campaign]:
    """List campaigns, newest first: ``size`` of those with ids below ``before_id``."""
    return campaigns.page(session, owner, before_id, size)


def stored_plan(session: Session, owner: str, campaign_id: int) -> CampaignPlan:
    """What a campaign was to train and cost before anything was adopted.

    Raises:
        NotFound: the owner has no such campaign.
    """
    return plan_of(parse_campaign(get_campaign(session, owner, campaign_id).document))


def campaign_of(session: Session, study_id: int) -> Campaign | None:
    """The campaign of which a study is a stage or a rung."""
    return campaigns.owning(session, study_id)
