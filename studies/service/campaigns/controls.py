"""What may be asked of a campaign: to rest, to go on, also after a failure, to be given up, to be forgotten."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session

from model.config import FrozenConfig
from model.errors import InvalidInput
from studies.campaigns.document import MAX_STAGES, CampaignDocument, StageName
from studies.errors import Conflict
from studies.records import ACTIVE_STUDY_STATES, Campaign, CampaignState, CampaignStudy, Study, StudyState
from studies.repository import campaigns, studies
from studies.service.campaigns.preparing import PreparedCampaign, prepare_document
from studies.service.campaigns.stored import UNFINISHED, get_campaign
from studies.service.studies import cancel_study, pause_study, resume_study

RESUMABLE = frozenset({CampaignState.PAUSED, CampaignState.FAILED, CampaignState.CANCELLED})


class ResumeRequest(FrozenConfig):
    """How a campaign is to go on; without anything, as it was."""

    stages: Annotated[dict[StageName, dict[str, Any]], Field(max_length=MAX_STAGES)] = Field(default_factory=dict)
    """Another study for a stage that has not ended well, by the stage's name."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """A campaign that can go on, with the document that it goes on with."""

    campaign_id: int
    revision: int
    prepared: PreparedCampaign | None
    """None where it stays as it is."""
    replaced: Sequence[str] = ()
    """Names of the stages that get another study."""


def prepare_resumption(
    session: Session, owner: str, campaign_id: int, request: ResumeRequest, roots: Sequence[Path]
) -> Resumption:
    """Check what a campaign is to go on with; nothing is stored.

    Raises:
        NotFound: the owner has no such campaign.
        Conflict: a stage that is to be replaced has begun and not failed.
        InvalidInput: there is no such stage, or its new study cannot be.

    Whether it can be resumed at all, ``resume_campaign`` says: a request that is sent again finds it running.
    """
    campaign = get_campaign(session, owner, campaign_id)
    if not request.stages or campaign.state not in RESUMABLE:
        return Resumption(campaign.id, campaign.revision, None)
    document = CampaignDocument.model_validate(campaign.document)
    names = [stage.name for stage in document.stages]
    for name in request.stages:
        if name not in names:
            raise InvalidInput(f"stages.{name}", "there is no such stage", f"use {', '.join(names)}")
        _check_replaceable(session, campaign, names.index(name), name)
    stages = [
        {**stage.model_dump(mode="json"), "study": request.stages.get(stage.name, stage.study)}
        for stage in document.stages
    ]
    changed = {**document.model_dump(mode="json"), "stages": stages}
    return Resumption(campaign.id, campaign.revision, prepare_document(changed, roots), tuple(request.stages))


def resume_campaign(session: Session, owner: str, resumption: Resumption) -> Campaign:
    """Let a campaign go on: paused studies do, and those that did not end well are begun anew by whoever advances it.

    A study that was given more trials, and is complete or on its way again, stays.

    Raises:
        NotFound: the owner has no such campaign any more.
        Conflict: it has changed since ``prepare_resumption``, or a study that is to be replaced has.
    """
    campaign = _locked(session, owner, resumption.campaign_id, RESUMABLE, "be resumed")
    if campaign.revision != resumption.revision:
        raise Conflict(f"campaign {campaign.id} has just changed; look at it, and try again")
    names = [stage.name for stage in CampaignDocument.model_validate(campaign.document).stages]
    for name in resumption.replaced:
        _check_replaceable(session, campaign, names.index(name), name)
    for row, study in _open(session, campaign):
        if study is None or study.state in (StudyState.FAILED, StudyState.CANCELLED):
            campaigns.remove_study(session, campaign.id, row.position)
    _control(session, campaign, frozenset({StudyState.PAUSED}), resume_study)
    changed: Mapping[str, Any] = {}
    if resumption.prepared is not None:
        document = resumption.prepared.parsed.document.model_dump(mode="json")
        changed = {"document": document, "digest": resumption.prepared.digest}
    campaigns.set_state(session, campaign.id, CampaignState.RUNNING, error=None, finished_at=None, **changed)
    return get_campaign(session, owner, campaign.id)


def pause_campaign(session: Session, owner: str, campaign_id: int) -> Campaign:
    """Let a campaign and its studies rest until resumed; running trials begin anew. Raises like ``cancel_campaign``."""
    campaign = _locked(session, owner, campaign_id, frozenset({CampaignState.RUNNING}), "pause")
    _control(session, campaign, frozenset({StudyState.QUEUED, StudyState.RUNNING}), pause_study)
    campaigns.set_state(session, campaign.id, CampaignState.PAUSED)
    return get_campaign(session, owner, campaign.id)


def cancel_campaign(session: Session, owner: str, campaign_id: int) -> Campaign:
    """Give a campaign up, and its studies that have not ended; it can be resumed nevertheless.

    Raises:
        NotFound: the owner has no such campaign.
        Conflict: its state does not allow it.
    """
    campaign = _locked(session, owner, campaign_id, UNFINISHED, "cancel")
    _control(session, campaign, ACTIVE_STUDY_STATES, cancel_study)
    ended = {"error": "the campaign was cancelled", "finished_at": datetime.now(UTC)}
    campaigns.set_state(session, campaign.id, CampaignState.CANCELLED, **ended)
    return get_campaign(session, owner, campaign.id)


def delete_campaign(session: Session, owner: str, campaign_id: int) -> None:
    """Delete a campaign; its studies stay.

    Raises:
        NotFound: the owner has no such campaign.
        Conflict: it has not ended.
    """
    get_campaign(session, owner, campaign_id)
    campaigns.lock(session, campaign_id)
    campaign = get_campaign(session, owner, campaign_id)
    if campaign.state in UNFINISHED:
        raise Conflict(f"campaign {campaign_id} is {campaign.state}; cancel it first")
    campaigns.remove(session, campaign_id)


def _locked(session: Session, owner: str, campaign_id: int, states: frozenset[CampaignState], verb: str) -> Campaign:
    get_campaign(session, owner, campaign_id)
    campaigns.lock(session, campaign_id)
    campaign = get_campaign(session, owner, campaign_id)
    _check(campaign, states, verb)
    return campaign


def _check(campaign: Campaign, states: frozenset[CampaignState], verb: str) -> None:
    if campaign.state not in states:
        raise Conflict(f"campaign {campaign.id} is {campaign.state}; it cannot {verb}")


def _check_replaceable(session: Session, campaign: Campaign, position: int, name: str) -> None:
    row = next((row for row in campaign.studies if row.position == position), None)
    if row is None:
        return
    if row.outcome is not None:
        raise Conflict(f"stage {name} has ended, and later ones build on its winner; create another campaign")
    state = None if row.study_id is None else studies.state_of(session, row.study_id)
    if state in ACTIVE_STUDY_STATES:
        raise Conflict(f"study {row.study_id} of stage {name} is {state}; cancel it first")
    if state is StudyState.COMPLETED:
        raise Conflict(f"study {row.study_id} of stage {name} is {state}; delete it first, or go on with it")


def _open(session: Session, campaign: Campaign) -> list[tuple[CampaignStudy, Study | None]]:
    """The rows on whose studies the campaign waits, with them."""
    rows = [row for row in campaign.studies if row.outcome is None]
    return [(row, None if row.study_id is None else studies.get(session, row.study_id)) for row in rows]


def _control(
    session: Session,
    campaign: Campaign,
    states: frozenset[StudyState],
    change: Callable[[Session, str, int], Study],
) -> None:
    """Change the studies in some states on which the campaign waits."""
    ids = dict.fromkeys(
        study.id for _, study in _open(session, campaign) if study is not None and study.state in states
    )
    for study_id in ids:
        with suppress(Conflict):  # it has just ended by itself
            change(session, campaign.owner, study_id)
