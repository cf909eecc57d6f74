"""What each step of a campaign brought, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from studies.campaigns.judgement import LadderJudgement
from studies.campaigns.ladder import judge_ladder
from studies.campaigns.runs import Cost, cost_of, rung_runs
from studies.records import ACTIVE_STUDY_STATES, Trial
from studies.repository import studies, trials
from studies.service.campaigns.progress import CampaignProgress, RungProgress, campaign_progress


@dataclass(frozen=True, slots=True)
class CampaignLadder:
    """A campaign with its ladder, judged from its trials as they are now."""

    progress: CampaignProgress
    judgement: LadderJudgement | None
    """None where no stage is a rung."""
    costs: Mapping[int, Cost]
    """Of each of its studies, by its id."""

    @property
    def total(self) -> Cost:
        """Of all of its studies; in wall time, from the first one's start to the last one's end without the pauses
        between them.
        """
        known = list(self.costs.values())
        return Cost(
            train_flops=sum(cost.train_flops for cost in known),
            inherit_flops=sum(cost.inherit_flops for cost in known),
            device_seconds=sum(cost.device_seconds for cost in known),
            wall_seconds=sum(cost.wall_seconds or 0.0 for cost in known),
        )


def campaign_ladder(session: Session, owner: str, campaign_id: int) -> CampaignLadder:
    """Judge the ladder of a campaign and add up what it has cost.

    Raises:
        NotFound: the owner has no such campaign.
    """
    progress = campaign_progress(session, owner, campaign_id)
    parts = [*progress.stages, *progress.rungs]
    ids = dict.fromkeys(part.study_id for part in parts if part.study_id is not None)
    found = {study_id: trials.page(session, study_id, None, None) for study_id in ids}
    now = datetime.now(UTC)
    stored = ((study_id, studies.get(session, study_id)) for study_id in ids)
    costs = {study_id: cost_of(study, found[study_id], now) for study_id, study in stored if study is not None}
    return CampaignLadder(progress, _judgement(progress, found), costs)


def _judgement(progress: CampaignProgress, found: Mapping[int, Sequence[Trial]]) -> LadderJudgement | None:
    if not progress.rungs:
        return None
    seeds = progress.document.ladder.listed
    before: list[RungProgress | None] = [None, *progress.rungs]
    runs = [
        rung_runs(rung.name, seeds, found.get(rung.study_id or 0, ()), _is_same(last, rung))
        for last, rung in zip(before, progress.rungs, strict=False)
    ]
    finished = all(
        (rung.study_id is not None and rung.state not in ACTIVE_STUDY_STATES) or rung.state == "DELETED"
        for rung in progress.rungs
    )
    return judge_ladder(runs, finished)


def _is_same(before: RungProgress | None, rung: RungProgress) -> bool:
    """Whether nothing was adopted between two rungs."""
    return before is not None and rung.setting is not None and before.setting == rung.setting
