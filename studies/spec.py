"""The study spec: what a user POSTs, versioned, frozen, and checked before anything is spent."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from model.config import FrozenConfig
from model.errors import InvalidInput
from search.parameters import METRIC_NAMES, PARAMETER_NAMES, Choice, Constraints, Parameter
from trainer.config import ProxySettings

MAX_TRIALS = 1_000_000
Purpose = Literal["estimate", "optimise"]


class Objective(FrozenConfig):
    """A metric and its direction."""

    metric: str
    direction: Literal["minimize", "maximize"] = "minimize"

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METRIC_NAMES:
            raise ValueError(f"{value!r} is not a metric; use one of {', '.join(sorted(METRIC_NAMES))}")
        return value


class SamplerSpec(FrozenConfig):
    """How points are chosen: random, grid and qmc are declared designs, tpe adapts to results."""

    kind: Literal["random", "grid", "qmc", "tpe"] = "qmc"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class SchedulerSpec(FrozenConfig):
    """Whether weak trials are stopped early: asha is asynchronous successive halving (arXiv 1810.05934)."""

    kind: Literal["none", "asha"] = "none"
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    grace_evaluations: Annotated[int, Field(ge=1, le=1000)] = 1
    """Evaluations that every trial is given before it can be stopped."""


class Resources(FrozenConfig):
    """What one trial occupies."""

    cpu: Annotated[float, Field(gt=0, le=1024)] = 1
    gpu: Annotated[float, Field(ge=0, le=64)] = 0


class StudySpec(FrozenConfig):
    """A whole study; see docs/spec.md for a commented example."""

    version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=10_000)] = ""
    tags: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=50)] = ()
    purpose: Purpose = "estimate"
    execution: Literal["ray"] = "ray"
    space: Annotated[dict[str, Parameter], Field(max_length=50)] = {}
    inner: Annotated[dict[str, Annotated[tuple[Choice, ...], Field(min_length=1, max_length=1000)]], Field(max_length=20)] = {}
    """Grids at which every outer point is trained."""
    constraints: Constraints = Constraints()
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=1)] = (Objective(metric="bits_per_byte"),)
    sampler: SamplerSpec = SamplerSpec()
    scheduler: SchedulerSpec = SchedulerSpec()
    proxy: ProxySettings
    max_trial_count: Annotated[int, Field(ge=1, le=MAX_TRIALS)]
    """Trials that end, whatever their state."""
    parallel_trial_count: Annotated[int, Field(ge=1, le=4096)] = 1
    resources_per_trial: Resources = Resources()
