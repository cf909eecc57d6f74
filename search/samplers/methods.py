"""What each kind of sampler takes: the one table that checks, samplers and docs/search.md go by. Loads no library."""

from collections.abc import Mapping
from dataclasses import dataclass

MAX_OBJECTIVES = 3
"""Most objectives of a study (assumed: of more, most trials are on the front)."""


@dataclass(frozen=True, slots=True)
class Method:
    """What a sampler can be asked to search."""

    adaptive: bool
    """Whether it chooses by outcome; what does not is a declared design, whose trials may carry verdicts."""
    max_objectives: int = MAX_OBJECTIVES
    needs_order: bool = False
    """Whether it moves along axes, so that neighbouring values of each parameter must be alike."""
    max_points: int | None = None
    """Most outer points, where a suggestion costs more with each of them."""
    knows_laws: bool = False
    """Whether it goes by ``start.law``; others get the law's point as one that is given."""


METHODS: Mapping[str, Method] = {
    "random": Method(adaptive=False),
    "grid": Method(adaptive=False),
    "qmc": Method(adaptive=False),
    "bowl": Method(adaptive=True, knows_laws=True),
    "tpe": Method(adaptive=True),
    "gp": Method(adaptive=True, max_points=500),
    "cmaes": Method(adaptive=True, max_objectives=1, needs_order=True),
    "nsga2": Method(adaptive=True),
    "nsga3": Method(adaptive=True),
    "zoopt": Method(adaptive=True, max_objectives=1),
    "cascade": Method(adaptive=True, max_objectives=1),
    "zero_cost": Method(adaptive=True, max_objectives=1),
}


DEFAULTS: Mapping[str, str] = {"estimate": "qmc", "optimise": "bowl"}
"""The kind that a study has when its spec names none, by purpose: for ``optimise`` the one that needs the fewest trials
on the problems of docs/benchmarks.md."""


def declared() -> tuple[str, ...]:
    """The kinds whose points do not depend on outcomes."""
    return tuple(kind for kind, method in METHODS.items() if not method.adaptive)


def of_several_objectives(count: int) -> tuple[str, ...]:
    """The kinds that take so many objectives."""
    return tuple(kind for kind, method in METHODS.items() if method.max_objectives >= count)
