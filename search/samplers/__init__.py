"""How outer points are chosen. A sampler's libraries are loaded when it is built."""

from collections.abc import Callable

from search.problem import SearchProblem
from search.samplers.base import Sampler
from search.samplers.designs import GridDesign, QmcDesign, RandomDesign


def build_sampler(problem: SearchProblem) -> Sampler:
    """The sampler that ``problem`` names. A space without parameters is a grid of one point, whatever the sampler.

    Raises:
        InvalidInput: a grid over a continuous parameter.
    """
    match problem.sampler.kind if problem.space.names else "grid":
        case "cascade":
            from search.samplers.cascade import CascadeSampler

            return CascadeSampler(problem, build_sampler)
        case "zero_cost":
            from search.samplers.zero_cost import ZeroCostSampler

            return ZeroCostSampler(problem, build_sampler)
        case plain:
            return _class_of(plain)(problem)


def _class_of(kind: str) -> Callable[[SearchProblem], Sampler]:
    match kind:
        case "random":
            return RandomDesign
        case "grid":
            return GridDesign
        case "qmc":
            return QmcDesign
        case "bowl":
            from search.samplers.bowl import BowlSampler

            return BowlSampler
        case "tpe":
            from search.samplers.tpe import TpeSampler

            return TpeSampler
        case "gp":
            from search.samplers.gp import GpSampler

            return GpSampler
        case "cmaes":
            from search.samplers.cmaes import CmaesSampler

            return CmaesSampler
        case "nsga2":
            from search.samplers.nsga import Nsga2Sampler

            return Nsga2Sampler
        case "nsga3":
            from search.samplers.nsga import Nsga3Sampler

            return Nsga3Sampler
        case "zoopt":
            from search.samplers.zoopt import ZooptSampler

            return ZooptSampler
    raise ValueError(f"there is no sampler {kind!r}")
