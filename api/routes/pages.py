"""The web pages; what they show is read in ``api.web``."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from api.authentication import IdentityGiven
from api.dependencies import ReadSession
from api.routes.paths import LARGEST_ID, CampaignId, FurtherStudies, PresetName, StudyId
from api.web.campaign_page import campaign_page, campaigns_page
from api.web.recipe_page import preset_page, recipe_page
from api.web.rendering import render
from api.web.studies_page import studies_page
from api.web.study_page import study_page

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Shown = Literal["all", "active", "completed", "ended"]


@router.get("/")
def show_studies(
    request: Request,
    session: ReadSession,
    identity: IdentityGiven,
    show: Shown = "all",
    q: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
) -> HTMLResponse:
    """Show the studies, newest first."""
    shown = studies_page(session, identity, show, q.strip(), before)
    return render("studies.html", origin=str(request.base_url).rstrip("/"), **shown)


@router.get("/studies/{study_id}")
def show_study(
    study_id: StudyId, session: ReadSession, identity: IdentityGiven, others: FurtherStudies = ()
) -> HTMLResponse:
    """Show a study, with its formulas or those of several studies together."""
    return render("study.html", **study_page(session, identity, study_id, others))


@router.get("/studies/{study_id}/recipe")
def show_recipe(study_id: StudyId, session: ReadSession, identity: IdentityGiven) -> HTMLResponse:
    """Show the recipes of a study."""
    return render("recipe.html", **recipe_page(session, identity, study_id))


@router.get("/campaigns")
def show_campaigns(
    session: ReadSession,
    identity: IdentityGiven,
    before: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
) -> HTMLResponse:
    """Show the campaigns, newest first."""
    return render("campaigns.html", **campaigns_page(session, identity, before))


@router.get("/campaigns/{campaign_id}")
def show_campaign(campaign_id: CampaignId, session: ReadSession, identity: IdentityGiven) -> HTMLResponse:
    """Show a campaign: its stages, and what each step brought."""
    return render("campaign.html", **campaign_page(session, identity, campaign_id))


@router.get("/presets/{preset}")
def show_preset(preset: PresetName, identity: IdentityGiven) -> HTMLResponse:
    """Show the recipes of published findings."""
    return render("recipe.html", **preset_page(identity, preset))
