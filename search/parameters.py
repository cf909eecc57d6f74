"""The typed parameters of a search space and the constraints on them, as a user writes them."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from model.config import FrozenConfig

PARAMETER_NAMES = frozenset(
    {
        "depth",
        "width",
        "vocabulary_size",
        "ffn_ratio",
        "head_dim",
        "kv_heads",
        "learning_rate",
        "batch_tokens",
        "weight_decay",
        "warmup_tokens",
        "init_scheme",
        "init_std",
        "sequence_length",
        "seed",
    }
)
"""Standard names that this version can vary."""

METRIC_NAMES = frozenset(
    {
        "bits_per_byte",
        "validation_loss",
        "train_tokens_per_second",
        "decode_tokens_per_second",
        "total_parameters",
        "non_embedding_parameters",
        "embedding_share",
        "train_tokens",
        "train_bytes",
        "train_flops",
    }
)
"""Standard metric names: bits of the validation set per byte, nats per token, tokens per second, counts, shares."""

Choice = StrictBool | StrictInt | StrictFloat | StrictStr


class IntParameter(FrozenConfig):
    """Whole numbers from ``low`` to ``high``, both included, every ``step``."""

    type: Literal["int"]
    low: int
    high: int
    step: Annotated[int, Field(ge=1)] = 1
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_bounds(self.low, self.high, self.log)
        if self.log and self.step != 1:
            raise ValueError("log and step exclude each other; leave one out")
        return self


class FloatParameter(FrozenConfig):
    """Real numbers from ``low`` to ``high``; with ``step``, only low, low + step, …"""

    type: Literal["float"]
    low: float
    high: float
    step: Annotated[float, Field(gt=0)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_bounds(self.low, self.high, self.log)
        if self.log and self.step is not None:
            raise ValueError("log and step exclude each other; leave one out")
        return self


class CategoricalParameter(FrozenConfig):
    """One of ``choices``, each as likely as the others."""

    type: Literal["categorical"]
    choices: Annotated[tuple[Choice, ...], Field(min_length=1, max_length=10_000)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("choices holds a value twice; remove the repetition")
        if any(isinstance(choice, float) and not math.isfinite(choice) for choice in self.choices):
            raise ValueError("choices holds NaN or infinity; remove it")
        return self


Parameter = Annotated[IntParameter | FloatParameter | CategoricalParameter, Field(discriminator="type")]


class TotalParameters(FrozenConfig):
    """An equal budget: every point has ``target`` parameters within ``tolerance``, by solving for one of them."""

    target: Annotated[int, Field(ge=1, le=10**13)]
    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.03
    """Largest relative distance from the target."""
    solve_for: Literal["width"] = "width"


class Constraints(FrozenConfig):
    """What every point of the space must satisfy."""

    total_parameters: TotalParameters | None = None


def check_bounds(low: float, high: float, log: bool) -> None:
    """Check one range.

    Raises:
        ValueError: the range is reversed, or reaches zero on a logarithmic scale.
    """
    if low > high:
        raise ValueError(f"low {low} is greater than high {high}; swap them")
    if log and low <= 0:
        raise ValueError(f"low {low} has no logarithm; give a low above 0 or leave log out")
