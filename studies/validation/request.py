"""What is asked of a validation, and what it will do: made before anything is stored or trained."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from model.config import FrozenConfig
from studies.recipe.target import MAX_TOKENS, MAX_TOTAL_PARAMETERS
from studies.validation.judgement import CandidateName

MIN_SIZES, MAX_SIZES = 3, 8
MIN_SEEDS, MAX_SEEDS = 3, 100
MARGIN_SHARE = 0.005
"""The margin of a request without one, as a share of the best trial's bits per byte (assumed: over 9 published grids
the configs that a law predicts lose 0.2 % at the median and 0.45 % at most against the best of the grid)."""

Size = Annotated[int, Field(ge=1, le=MAX_TOTAL_PARAMETERS)]


class ValidationRequest(BaseModel):
    """Which recipe is to be validated, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_parameters: Size | None = None
    tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    """With ``total_parameters``: the target that the recipe is for."""
    sizes: Annotated[tuple[Size, ...], Field(min_length=MIN_SIZES, max_length=MAX_SIZES)] | None = None
    """Sizes at which recipe and rivals are trained, ascending; left out, three that double, as large as the budget
    allows and no larger than the target."""
    tokens_per_parameter: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Training tokens for each parameter at every size; left out, the target's, or the best trial's."""
    seeds: Annotated[int, Field(ge=MIN_SEEDS, le=MAX_SEEDS)] = 3
    """Runs of each candidate at each size."""
    margin: Annotated[float, Field(gt=0, le=10)] | None = None
    """Largest regret that passes, in bits per byte; left out, 0.5 % of the best trial's."""
    max_train_flops: Annotated[float, Field(gt=0, le=1e30)] | None = None
    """Most training FLOPs of all runs together; left out, what the study itself spent, unless sizes are given."""

    @field_validator("sizes")
    @classmethod
    def _grow(cls, sizes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if sizes is not None and list(sizes) != sorted(set(sizes)):
            raise ValueError("sizes do not grow; list them ascending, each once")
        return sizes


class CandidatePlan(FrozenConfig):
    """What is trained under a name."""

    name: CandidateName
    reference: str
    """Where the config comes from."""
    point: int
    """Its place among the study's points; a rival that is the very config of the recipe has the recipe's, 0."""
    depth: int
    width: int
    ffn_width: int
    learning_rate: float
    batch_tokens: int
    weight_decay: float
    warmup_tokens: int | None


class RungPlan(FrozenConfig):
    """One size: a study of its own, whose points are the candidates and whose inner grid are the seeds."""

    total_parameters: int
    """Of the recipe's network; every rival has as many, within the FFN's last channel."""
    tokens: int
    """Of each run."""
    train_flops: float
    """Of all runs."""
    seeds: tuple[int, ...]
    candidates: tuple[CandidatePlan, ...]
    sources: dict[str, str]
    """Where the recipe's main fields come from at this size."""
    held: tuple[str, ...]
    """Fields in which the trained runs differ from the recipe, because trials cannot say them."""


class ValidationPlan(FrozenConfig):
    """What a validation trains, and what it rests on."""

    total_parameters: int | None
    tokens: int | None
    """The target, or null."""
    margin: float
    tokens_per_parameter: float
    rungs: Annotated[tuple[RungPlan, ...], Field(min_length=MIN_SIZES)]
    """Ascending in size."""
    runs: int
    """Trainings in all."""
    train_flops: float
    """Of all runs, forward and backward; evaluations are not counted."""
    study_flops: float | None
    """What the study's own trials spent, to compare with; null where they do not say."""
    device_seconds: float | None
    """Of all runs one after the other, at the speed of the study's trials; null where none is known."""
    best_trial: int
    formulas: tuple[str, ...]
    """Ids of the formulas that the recipe was made from."""
    warnings: tuple[str, ...]
