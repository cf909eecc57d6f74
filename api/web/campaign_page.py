"""What the pages of campaigns show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.authentication import RANK, Identity
from api.campaign_words import choice, chosen_text
from api.ladder_schemas import LadderResponse
from api.ladder_words import (
    LADDER_NOTE,
    PAPER_NOTE,
    cost_texts,
    ladder_lines,
    rows_with_verdicts,
)
from api.web.assets import PLOTLY_URL
from api.web.study_page import Action
from api.web.words import number, plain
from studies import service
from studies.campaigns.setting import Outcome
from studies.database import Session
from studies.records import CampaignState, Role
from studies.service.campaigns import CampaignLadder, CampaignProgress, StageProgress

PAGE_SIZE = 25
UNFINISHED = (CampaignState.RUNNING, CampaignState.PAUSED)
ACTIONS = (
    Action(
        "pause",
        "Pause",
        [CampaignState.RUNNING],
        "Running trials are cut off and start anew when the campaign is resumed. Finished ones are kept.",
    ),
    Action("resume", "Resume", [CampaignState.PAUSED, CampaignState.FAILED, CampaignState.CANCELLED], ""),
    Action(
        "cancel",
        "Cancel",
        UNFINISHED,
        "The campaign is given up with the study that runs. Its studies are kept, and it can be resumed.",
        dangerous=True,
    ),
    Action(
        "delete",
        "Delete",
        [CampaignState.COMPLETED, CampaignState.FAILED, CampaignState.CANCELLED],
        "The campaign is forgotten; its studies stay. This cannot be undone.",
        dangerous=True,
    ),
)


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign at a glance."""

    progress: CampaignProgress

    @property
    def stages_ended(self) -> int:
        """Stages with a winner."""
        return sum(stage.outcome is not None for stage in self.progress.stages)

    @property
    def ended(self) -> int:
        """Trials that have ended, those of rungs that share a study once."""
        return sum(ended for ended, _ in self._studies)

    @property
    def asked(self) -> int:
        """Trials that it is to have."""
        return sum(asked for _, asked in self._studies)

    @property
    def counts(self) -> Mapping[str, int]:
        """For the bar: what has ended."""
        return {"COMPLETE": self.ended}

    @property
    def _studies(self) -> Sequence[tuple[int, int]]:
        parts = [*self.progress.stages, *self.progress.rungs]
        shared = {
            part.study_id if part.study_id is not None else -1 - place: (part.ended, part.trials)
            for place, part in enumerate(parts)
        }
        return list(shared.values())


def campaigns_page(session: Session, identity: Identity, before: int | None) -> dict[str, Any]:
    """Read everything that the template ``campaigns.html`` shows."""
    found = service.list_campaigns(session, identity.owner, before, PAGE_SIZE + 1)
    page = found[:PAGE_SIZE]
    rows = [CampaignRow(service.campaign_progress(session, identity.owner, campaign.id)) for campaign in page]
    return {
        "identity": identity,
        "section": "campaigns",
        "rows": rows,
        "first_page": before is None,
        "older": f"/campaigns?before={page[-1].id}" if len(found) > PAGE_SIZE else None,
        "workers": service.list_workers(session),
    }


@dataclass(frozen=True, slots=True)
class StageShown:
    """A stage as the page lists it."""

    stage: StageProgress
    winner: str
    """The metric of its winner; empty before there is one."""
    how: str
    """How the winner was chosen."""
    adopted: Sequence[tuple[str, str]]
    """What of it changed the setting: names and values."""
    kept: bool
    """Whether the winner is what the stage started from."""
    cost: tuple[str, str, str] | None
    """FLOPs, device time and wall time."""


def campaign_page(session: Session, identity: Identity, campaign_id: int) -> dict[str, Any]:
    """Read everything that the template ``campaign.html`` shows.

    Raises:
        NotFound: the owner has no such campaign.
    """
    ladder = service.campaign_ladder(session, identity.owner, campaign_id)
    shown = LadderResponse.of(ladder).model_dump(mode="json")
    progress, judgement = ladder.progress, shown["judgement"]
    campaign = progress.campaign
    costs = {cost["study_id"]: cost for cost in shown["costs"]}
    may_write = RANK[identity.role] >= RANK[Role.WRITE]
    return {
        "identity": identity,
        "section": "campaigns",
        "campaign": campaign,
        "document": progress.document,
        "row": CampaignRow(progress),
        "stages": [_stage(stage, costs.get(stage.study_id)) for stage in progress.stages],
        "rungs": _rungs(ladder, judgement),
        "lines": ladder_lines(judgement) if judgement else [],
        "notes": [LADDER_NOTE, PAPER_NOTE],
        "total": cost_texts(shown["total"]),
        "elapsed": ((campaign.finished_at or datetime.now(UTC)) - campaign.created_at).total_seconds(),
        "actions": ACTIONS if may_write else (),
        "workers": service.list_workers(session),
        "unfinished": campaign.state in UNFINISHED,
        "data": {
            "id": campaign.id,
            "name": campaign.name,
            "path": f"/v1/campaigns/{campaign.id}",
            "home": "/campaigns",
            "plotly": PLOTLY_URL,
        },
    }


def _stage(stage: StageProgress, cost: Mapping[str, Any] | None) -> StageShown:
    outcome = stage.outcome
    return StageShown(
        stage=stage,
        winner="" if outcome is None else f"{number(outcome.winner.value)} {plain(outcome.winner.metric)}",
        how="" if outcome is None else _how(outcome),
        adopted=[] if outcome is None else [(plain(name), _said(value)) for name, value in outcome.adopted.items()],
        kept=bool(outcome and outcome.winner.current),
        cost=None if cost is None else cost_texts(cost),
    )


def _how(outcome: Outcome) -> str:
    winner = outcome.winner
    trial = f"trial {winner.trial}"
    return ", ".join(filter(None, (trial, chosen_text(winner.rule, winner.runs))))


def _said(value: object) -> str:
    found = choice(value)
    return plain(found) if isinstance(found, str) else number(found)


def _rungs(ladder: CampaignLadder, judgement: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    """Rows of the ladder, each with the study that trains it."""
    if judgement is None:
        return []
    return [
        {**row, "study_id": rung.study_id}
        for row, rung in zip(rows_with_verdicts(judgement), ladder.progress.rungs, strict=True)
    ]
