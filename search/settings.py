"""How a study searches, as a user writes it: objectives, sampler, scheduler, resources."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from model.config import FrozenConfig
from search.parameters import METRIC_NAMES


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


PlainKind = Literal["random", "grid", "qmc", "bowl", "tpe", "gp", "cmaes", "nsga2", "nsga3", "zoopt"]
"""Samplers that need no other one below them."""


class SamplerSpec(FrozenConfig):
    """How points are chosen: random, grid and qmc are declared designs, the others adapt to results."""

    kind: Literal[PlainKind, "cascade", "zero_cost"] = "qmc"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    family: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)] | None = None
    """Of a cascade: the parameters whose values make the families among which the bandit chooses."""
    below: PlainKind | None = None
    """The sampler within a family of a cascade, or after the first points of zero_cost; bowl where none is given."""
    first: Annotated[int, Field(ge=1, le=50)] | None = None
    """Of zero_cost: architectures of the genetic algorithm that are trained first; 8 where none is given."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        """Write down the kind's defaults, so that a stored spec says what was done, and a name alone as a list."""
        if not isinstance(data, Mapping) or not isinstance(data.get("kind"), str):
            return data
        given = {name: value for name, value in data.items() if value is not None or name not in _KINDS}
        family = {"family": (given["family"],)} if isinstance(given.get("family"), str) else {}
        return {**_DEFAULTS.get(data["kind"], {}), **given, **family}

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        for name, kinds in _KINDS.items():
            if getattr(self, name) is not None and self.kind not in kinds:
                raise ValueError(f"{name} does not belong to {self.kind}; leave it out, or use {' or '.join(kinds)}")
        if self.kind == "cascade" and self.family is None:
            raise ValueError("family is missing; name the parameter whose values are the families of the cascade")
        if self.family is not None and len(set(self.family)) != len(self.family):
            raise ValueError("family holds a name twice; remove the repetition")
        return self


_KINDS = {"family": ("cascade",), "below": ("cascade", "zero_cost"), "first": ("zero_cost",)}
"""The kinds that have each further field."""

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "cascade": {"below": "bowl"},
    "zero_cost": {"below": "bowl", "first": 8},
}


class SchedulerSpec(FrozenConfig):
    """Whether weak trials are stopped early, and by which rule (``search.stopping``)."""

    kind: Literal["none", "asha", "hyperband", "curve"] = "none"
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    grace_evaluations: Annotated[int, Field(ge=1, le=1000)] = 1
    """Evaluations that every trial is given before it can be stopped."""
    least_chance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Probability of beating the best finished trial below which ``curve`` stops a trial (Domhan et al. 2015)."""


class Seeds(FrozenConfig):
    """Whether the leaders of a search are trained again, so that the winner's value is not the luckiest draw."""

    count: Annotated[int, Field(ge=1, le=100)] = 1
    """Fresh seeds of each leader; with 1 none is trained again."""
    leaders: Annotated[int, Field(ge=1, le=1000)] = 3
    """Settings that are trained again, the best ones."""

    @model_validator(mode="before")
    @classmethod
    def _from_count(cls, value: object) -> object:
        return {"count": value} if isinstance(value, int | float) and not isinstance(value, bool) else value

    @property
    def reserved(self) -> int:
        """Trials that are kept for it."""
        return self.count * self.leaders if self.count > 1 else 0


class Resources(FrozenConfig):
    """What the program of a trial occupies, and how many trials may share one."""

    cpu: Annotated[float, Field(gt=0, le=1024)] = 1
    gpu: Annotated[float, Field(ge=0, le=64)] = 0
    stack: Annotated[int, Field(ge=1, le=256)] = 1
    """Largest number of inner points that are trained as one program."""

    @field_validator("gpu")
    @classmethod
    def _share_or_whole(cls, value: float) -> float:
        if value > 1 and not value.is_integer():
            raise ValueError(
                f"{value:g} is neither a share of one GPU nor whole GPUs; give at most 1, or a whole number"
            )
        return value

    @property
    def threads(self) -> int:
        """Threads of a program's process: one for each whole CPU."""
        return max(1, int(self.cpu))

    @property
    def gpu_share(self) -> float:
        """Share of a GPU's memory that a program may fill; without a GPU there is nothing to share."""
        return min(self.gpu, 1.0) or 1.0
