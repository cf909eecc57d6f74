"""The typed parameters of a search space, as a user writes them, and the names that specs know."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from model.config import FrozenConfig

PARAMETER_NAMES = frozenset(
    {
        "block",
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
        "inherit_method",
        "inherit_layers",
        "rounds",
        "sampling_rate",
        "parts",
        "round_selection",
        "round_losses",
        "sequence_length",
        "seed",
    }
)
"""Standard names that can be varied."""
TEXT_NAMES = frozenset({"block", "init_scheme", "inherit_method", "inherit_layers", "round_selection", "round_losses"})
"""Those whose values are texts."""

METRIC_NAMES = frozenset(
    {
        "bits_per_byte",
        "validation_loss",
        "train_tokens_per_second",
        "decode_tokens_per_second",
        "total_parameters",
        "non_embedding_parameters",
        "embedding_share",
        "decode_memory",
        "train_tokens",
        "train_bytes",
        "train_flops",
    }
)
"""Standard metric names: bits of the validation set per byte, nats per token, tokens per second, counts, shares,
bytes."""

STEP_SLACK = 1e-9
"""Rounding allowed when ``high`` lies on the last step, in steps (assumed)."""

Choice = StrictBool | StrictInt | StrictFloat | StrictStr


class IntParameter(FrozenConfig):
    """Whole numbers from ``low`` to ``high``, both included, every ``step``."""

    type: Literal["int"]
    low: int
    high: int
    step: Annotated[int, Field(ge=1)] = 1
    log: bool = False

    @property
    def size(self) -> int:
        """Number of values."""
        return (self.high - self.low) // self.step + 1

    def values(self) -> tuple[int, ...]:
        """Every value, ascending."""
        return tuple(range(self.low, self.high + 1, self.step))

    def weights(self) -> tuple[float, ...]:
        """Probability of each value, up to a factor: equal, or with ``log`` that of rounding a log-uniform draw."""
        if self.log:
            return tuple(math.log((value + 0.5) / (value - 0.5)) for value in self.values())
        return (1.0,) * self.size

    def quantile(self, unit: float) -> int:
        """The value at ``unit`` in [0, 1] of the cumulated distribution."""
        if self.log:
            start, length = self._log_range()
            return min(max(round(math.exp(start + unit * length)), self.low), self.high)
        return self.low + self.step * bin_of(unit, self.size)

    def position(self, value: float) -> float:
        """A point of [0, 1] whose quantile is ``value``."""
        if self.log:
            start, length = self._log_range()
            return (math.log(value) - start) / length
        return ((value - self.low) / self.step + 0.5) / self.size

    def _log_range(self) -> tuple[float, float]:
        start = math.log(self.low - 0.5)
        return start, math.log(self.high + 0.5) - start

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

    @property
    def size(self) -> int | None:
        """Number of values; None when they are a continuum."""
        if self.low == self.high:
            return 1
        if self.step is None:
            return None
        return math.floor((self.high - self.low) / self.step + STEP_SLACK) + 1

    def values(self) -> tuple[float, ...]:
        """Every value, ascending.

        Raises:
            ValueError: they are a continuum.
        """
        if self.size is None:
            raise ValueError("a continuous parameter has no list of values")
        return tuple(self._value_at(index) for index in range(self.size))

    def weights(self) -> tuple[float, ...]:
        """Probability of each value, up to a factor."""
        return (1.0,) * len(self.values())

    def quantile(self, unit: float) -> float:
        """The value at ``unit`` in [0, 1] of the cumulated distribution."""
        if self.size is not None:
            return self._value_at(bin_of(unit, self.size))
        if self.log:
            return min(max(self.low * math.pow(self.high / self.low, unit), self.low), self.high)
        return min(self.low + unit * (self.high - self.low), self.high)

    def position(self, value: float) -> float:
        """A point of [0, 1] whose quantile is ``value``."""
        if self.size is not None:
            index = 0 if self.step is None else round((value - self.low) / self.step)
            return (index + 0.5) / self.size
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def _value_at(self, index: int) -> float:
        return self.low if self.step is None else float(f"{self.low + index * self.step:.12g}")

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

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.choices)

    def values(self) -> tuple[Choice, ...]:
        """Every value, as written."""
        return self.choices

    def weights(self) -> tuple[float, ...]:
        """Probability of each value, up to a factor."""
        return (1.0,) * self.size

    def quantile(self, unit: float) -> Choice:
        """The value at ``unit`` in [0, 1] of the cumulated distribution."""
        return self.choices[bin_of(unit, self.size)]

    def position(self, value: Choice) -> float:
        """A point of [0, 1] whose quantile is ``value``."""
        return (self.choices.index(value) + 0.5) / self.size

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.choices)) != len(self.choices):
            raise ValueError("choices holds a value twice; remove the repetition")
        if any(isinstance(choice, float) and not math.isfinite(choice) for choice in self.choices):
            raise ValueError("choices holds NaN or infinity; remove it")
        return self


Parameter = Annotated[IntParameter | FloatParameter | CategoricalParameter, Field(discriminator="type")]


def check_bounds(low: float, high: float, log: bool) -> None:
    """Check one range.

    Raises:
        ValueError: the range is reversed, or reaches zero on a logarithmic scale.
    """
    if low > high:
        raise ValueError(f"low {low} is greater than high {high}; swap them")
    if log and low <= 0:
        raise ValueError(f"low {low} has no logarithm; give a low above 0 or leave log out")


def bin_of(unit: float, size: int) -> int:
    """Which of ``size`` equal parts of [0, 1] holds ``unit``."""
    return min(int(unit * size), size - 1)
