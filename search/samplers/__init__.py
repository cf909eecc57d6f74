"""How outer points are chosen."""

from collections.abc import Callable

from search.problem import SearchProblem
from search.samplers.base import Sampler
from search.samplers.designs import GridDesign, QmcDesign, RandomDesign
from search.samplers.tpe import TpeSampler

_SAMPLERS: dict[str, Callable[[SearchProblem], Sampler]] = {
    "random": RandomDesign,
    "grid": GridDesign,
    "qmc": QmcDesign,
    "tpe": TpeSampler,
}


def build_sampler(problem: SearchProblem) -> Sampler:
    """The sampler that ``problem`` names. A space without parameters is a grid of one point, whatever the sampler.

    Raises:
        InvalidInput: a grid over a continuous parameter.
    """
    kind = problem.sampler.kind if problem.space.names else "grid"
    return _SAMPLERS[kind](problem)
