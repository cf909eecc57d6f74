"""How far a campaign is: its stages and rungs as their studies are now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy.orm import Session

from studies.campaigns.document import CampaignDocument
from studies.campaigns.setting import Outcome, Setting
from studies.campaigns.stages import baseline_setting
from studies.records import ACTIVE_STUDY_STATES, TERMINAL_TRIAL_STATES, Campaign, StudyState
from studies.repository import studies, trials
from studies.service.campaigns.stored import get_campaign


@dataclass(frozen=True, slots=True)
class CampaignPart:
    """How far the study of a stage or a rung is."""

    name: str
    """The stage's name, or the rung's label."""
    study_id: int | None
    """None before it is begun, and where it was deleted."""
    state: StudyState | Literal["WAITING", "DELETED"]
    ended: int
    """Trials that have ended, whatever came of them."""
    trials: int
    """Trials that it is to have, as planned; once it is begun, as asked for."""


@dataclass(frozen=True, slots=True)
class StageProgress(CampaignPart):
    """A stage: how far it is, and what came of it."""

    rung: str | None
    outcome: Outcome | None
    """None before its study has ended."""


@dataclass(frozen=True, slots=True)
class RungProgress(CampaignPart):
    """A rung of the ladder; rungs of one setting share a study."""

    stages: int
    """How many stages' winners it has."""
    setting: Setting | None
    """None before those are known."""


@dataclass(frozen=True, slots=True)
class CampaignProgress:
    """A campaign as its studies are now."""

    campaign: Campaign
    document: CampaignDocument
    stages: Sequence[StageProgress]
    rungs: Sequence[RungProgress]


def campaign_progress(session: Session, owner: str, campaign_id: int) -> CampaignProgress:
    """How far a campaign is.

    Raises:
        NotFound: the owner has no such campaign.
    """
    campaign = get_campaign(session, owner, campaign_id)
    document = CampaignDocument.model_validate(campaign.document)
    part = _Parts(session, campaign)
    outcomes = {row.position: Outcome.model_validate(row.outcome) for row in campaign.studies if row.outcome}
    stages = [
        StageProgress(
            **part(position, stage.name, stage.study.get("max_trial_count", 0)),
            rung=stage.rung,
            outcome=outcomes.get(position),
        )
        for position, stage in enumerate(document.stages)
    ]
    rungs = [
        RungProgress(
            **part(position, label, document.ladder.seeds), stages=count, setting=_setting(document, outcomes, count)
        )
        for position, (label, count) in enumerate(document.rungs, start=len(stages))
    ]
    return CampaignProgress(campaign, document, stages, rungs)


def _setting(document: CampaignDocument, outcomes: Mapping[int, Outcome], stages: int) -> Setting | None:
    if stages == 0:
        return baseline_setting(document)
    return outcomes[stages - 1].setting if stages - 1 in outcomes else None


class _Parts:
    """Reads how far the studies of a campaign are."""

    def __init__(self, session: Session, campaign: Campaign) -> None:
        self._rows = {row.position: row for row in campaign.studies}
        ids = {row.study_id for row in campaign.studies if row.study_id is not None}
        found = [studies.get(session, study_id) for study_id in sorted(ids)]
        self._studies = {study.id: study for study in found if study is not None}
        self._counts = trials.counts_of(session, ids)

    def __call__(self, position: int, name: str, planned: int) -> dict[str, Any]:
        """The fields of a :class:`CampaignPart`."""
        row = self._rows.get(position)
        study = None if row is None or row.study_id is None else self._studies.get(row.study_id)
        if study is None:
            state = "WAITING" if row is None else "DELETED"
            return {"name": name, "study_id": None, "state": state, "ended": 0, "trials": planned}
        counts = self._counts.get(study.id, {})
        ended = sum(count for of, count in counts.items() if of in TERMINAL_TRIAL_STATES)
        asked = int(study.spec["max_trial_count"]) if study.state in ACTIVE_STUDY_STATES else ended
        return {"name": name, "study_id": study.id, "state": study.state, "ended": ended, "trials": asked}
