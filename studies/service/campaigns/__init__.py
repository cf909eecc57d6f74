"""Campaigns: studies in order, each starting from the winner of the one before."""

from studies.service.campaigns.controls import (
    ResumeRequest,
    Resumption,
    cancel_campaign,
    delete_campaign,
    pause_campaign,
    prepare_resumption,
    resume_campaign,
)
from studies.service.campaigns.ladder import CampaignLadder, campaign_ladder
from studies.service.campaigns.preparing import PreparedCampaign, plan_of, prepare_campaign
from studies.service.campaigns.progress import CampaignProgress, RungProgress, StageProgress, campaign_progress
from studies.service.campaigns.steps import Step, next_step, take_step
from studies.service.campaigns.stored import (
    add_campaign,
    campaign_of,
    find_unfinished_campaign,
    get_campaign,
    list_campaigns,
    stored_plan,
)

__all__ = [
    "CampaignLadder",
    "CampaignProgress",
    "PreparedCampaign",
    "ResumeRequest",
    "Resumption",
    "RungProgress",
    "StageProgress",
    "Step",
    "add_campaign",
    "campaign_ladder",
    "campaign_of",
    "campaign_progress",
    "cancel_campaign",
    "delete_campaign",
    "find_unfinished_campaign",
    "get_campaign",
    "list_campaigns",
    "next_step",
    "pause_campaign",
    "plan_of",
    "prepare_campaign",
    "prepare_resumption",
    "resume_campaign",
    "stored_plan",
    "take_step",
]
