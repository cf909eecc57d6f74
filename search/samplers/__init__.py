"""How outer points are chosen. A sampler's libraries are loaded when it is built."""

from collections.abc import Callable, Mapping
from pkgutil import resolve_name
from typing import cast

from search.problem import SearchProblem
from search.samplers.base import Sampler

_CLASSES: Mapping[str, str] = {
    "random": "search.samplers.designs:RandomDesign",
    "grid": "search.samplers.designs:GridDesign",
    "qmc": "search.samplers.designs:QmcDesign",
    "bowl": "search.samplers.bowl:BowlSampler",
    "tpe": "search.samplers.tpe:TpeSampler",
    "gp": "search.samplers.gp:GpSampler",
    "cmaes": "search.samplers.cmaes:CmaesSampler",
    "nsga2": "search.samplers.nsga:Nsga2Sampler",
    "nsga3": "search.samplers.nsga:Nsga3Sampler",
    "zoopt": "search.samplers.zoopt:ZooptSampler",
}
"""Where each kind is found; what it takes is in ``search.samplers.methods``."""


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
    return cast(Callable[[SearchProblem], Sampler], resolve_name(_CLASSES[kind]))
