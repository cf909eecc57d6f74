"""What a campaign is asked for with, and what it would train and cost."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from model.config import FrozenConfig
from trainer.config import Corpus


class CampaignRequest(FrozenConfig):
    """A campaign that comes with Formulary, or one of one's own."""

    preset: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Its name, e.g. ``paper-cpu``."""
    document: dict[str, Any] | None = None
    """``studies.campaigns.document.CampaignDocument``, checked by its parser, whose messages name a remedy."""
    corpus: Corpus | None = None
    """Takes the place of the baseline's corpus, and of those of the stages."""
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Takes the place of the document's."""

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.preset is None) == (self.document is None):
            raise ValueError("preset and document exclude each other, and one is needed; give one of them")
        return self


class StagePlan(FrozenConfig):
    """What a stage would train, were nothing adopted before."""

    name: str
    adopt: tuple[str, ...]
    rung: str | None
    trials: int
    train_flops: float
    """Estimated, of all trials together."""
    compares_current: bool
    """Whether the setting that it starts from is among its points; else its winner is adopted without having been
    compared with it."""
    warnings: tuple[str, ...]
    """What is legal in its study and may not be meant."""


class RungPlan(FrozenConfig):
    """What a rung of the ladder would train."""

    label: str
    runs: int
    train_flops: float


class CampaignPlan(FrozenConfig):
    """What a campaign would train and cost, as far as that is known before there are winners.

    A stage that does not vary the network is counted with the baseline's.
    """

    name: str
    description: str
    stages: tuple[StagePlan, ...]
    rungs: tuple[RungPlan, ...]
    trials: int
    train_flops: float
    assumptions: tuple[str, ...]
    """What the estimate rests on, a line each."""
