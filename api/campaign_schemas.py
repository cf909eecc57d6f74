"""What the API answers about campaigns."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from api.schemas import Response
from studies.campaigns.document import CampaignDocument
from studies.campaigns.setting import Outcome, Setting
from studies.records import CampaignState, StudyState
from studies.service.campaigns import CampaignProgress

PartState = StudyState | Literal["WAITING", "DELETED"]


class CampaignItem(Response):
    """A campaign without its stages."""

    id: int
    name: str
    state: CampaignState
    error: str | None
    """Why it ended otherwise than COMPLETED."""
    created_at: datetime
    finished_at: datetime | None


class CampaignPage(Response):
    """Campaigns, newest first."""

    campaigns: list[CampaignItem]
    next_page_token: str | None = Field(description="Give it as page_token to go on; null on the last page.")


class StageResponse(Response):
    """A stage: how far its study is, and what came of it."""

    name: str
    study_id: int | None
    """Null before it is begun, and where it was deleted."""
    state: PartState
    """Of its study."""
    ended: int
    """Trials that have ended, whatever came of them."""
    trials: int
    """Trials that it is to have."""
    rung: str | None
    outcome: Outcome | None
    """Its winner, what of it changed the setting, and the setting with which the campaign goes on."""


class RungResponse(Response):
    """A rung of the ladder; those of one setting share a study."""

    name: str
    study_id: int | None
    state: PartState
    ended: int
    trials: int
    stages: int
    """How many stages' winners it has."""
    setting: Setting | None
    """What it trains; null before that is known."""


class CampaignResponse(CampaignItem):
    """A campaign as its studies are now."""

    description: str
    document: CampaignDocument
    """As it was checked, with absolute paths."""
    stages: list[StageResponse]
    rungs: list[RungResponse]

    @classmethod
    def of(cls, progress: CampaignProgress) -> Self:
        """Join what is stored and how far it is."""
        return cls(
            **CampaignItem.model_validate(progress.campaign).model_dump(),
            description=progress.document.description,
            document=progress.document,
            stages=[StageResponse.model_validate(stage) for stage in progress.stages],
            rungs=[RungResponse.model_validate(rung) for rung in progress.rungs],
        )
