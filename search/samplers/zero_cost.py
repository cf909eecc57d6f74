"""First points from a genetic algorithm that trains nothing (arXiv 2208.07120), further ones from another sampler."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from model.config import ArchitectureConfig
from model.counts import forward_flops_per_token
from model.errors import InvalidInput
from search.events import Value
from search.genetic import Genes, Individual, evolve
from search.problem import SearchProblem, Values
from search.proxy import architecture_config
from search.samplers.base import Sampler
from search.settings import SamplerSpec
from search.space import Point, Space
from search.space.quantities import SHAPE_NAMES

ARCHITECTURE_NAMES = frozenset({*SHAPE_NAMES, "ffn_ratio"})
"""Parameters of which the genetic algorithm makes its genes."""
MAX_DRAWS = 16
"""Draws of the training parameters for a chosen architecture (assumed), before the medians are taken."""

BuildSampler = Callable[[SearchProblem], Sampler]


class ZeroCostSampler:
    """Architectures of most FLOPs under the study's size limit first, then a sampler that learns from them.

    Compressor's genetic algorithm (:mod:`search.genetic`) maximises GFLOPs − |size − limit| in megabytes over
    vocabulary, heads, widths and layers, before anything is trained: of networks of one size, that which computes more
    is taken to be the better one. Here the limit is a constraint of the study, which every point meets, so that
    fitness is FLOPs alone: those of a forward pass per token, at the study's own sequence length. The genes are the
    coordinates of the parameters of the architecture; the other ones do not change FLOPs and are drawn from their
    declared distribution.

    The sampler below is told of all points, whoever chose them.
    """

    def __init__(self, problem: SearchProblem, build: BuildSampler) -> None:
        """``build`` makes the sampler below.

        Raises:
            InvalidInput: the space has no parameter of the architecture, or the sampler below cannot search it.
        """
        sampler = problem.sampler
        assert sampler.below is not None  # a validator of the spec has filled both
        assert sampler.first is not None
        self._space = problem.space
        self._seed = sampler.seed
        self._first = sampler.first
        self._genes = architecture_names(problem.space)
        self._below = build(replace(problem, sampler=SamplerSpec(kind=sampler.below, seed=sampler.seed)))

    def point(self, outer: int, attempt: int = 0) -> Point | None:
        """One of the best architectures at the first indices; then, and where there are no more, a point from below.

        Further attempts go on with the architectures that come after the first ones.
        """
        rank = outer + attempt * self._first
        if outer >= self._first or rank >= len(self._best):
            return self._below.point(outer, attempt)
        point = self._express(self._best[rank], outer, attempt)
        self._below.restore(outer, point.values)
        return point

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Tell the sampler below of a point that it has not chosen, or not in this process."""
        self._below.restore(outer, values)

    def tell(self, outer: int, values: Values | None) -> None:
        """Report a point's objectives to the sampler below."""
        self._below.tell(outer, values)

    @cached_property
    def _best(self) -> list[Individual]:
        """The genetic algorithm's last population; it runs when a point is first asked for."""
        return evolve(self._judge, len(self._genes), self._seed)

    def _judge(self, genes: Genes) -> Individual | None:
        point = self._point_at(genes, self._medians)
        if self._space.checks and not self._space.accepts(point.values):
            return None
        config = network(self._space, point)
        return Individual(genes, config, float(forward_flops_per_token(config)))

    def _express(self, chosen: Individual, outer: int, attempt: int) -> Point:
        """A point of the chosen architecture with training parameters drawn for it.

        Where these are tied to its shape, and each draw would change it or break a constraint, it has the medians with
        which the algorithm judged it.
        """
        draws = np.random.default_rng([self._seed, outer, *([attempt] if attempt else [])])
        names = self._space.names
        for unit in draws.random((MAX_DRAWS, len(names))).tolist():
            point = self._point_at(chosen.genes, dict(zip(names, unit, strict=True)))
            if network(self._space, point) == chosen.identity and self._space.accepts(point.values):
                return point
        return self._point_at(chosen.genes, self._medians)

    @property
    def _medians(self) -> dict[str, float]:
        return dict.fromkeys(self._space.names, 0.5)

    def _point_at(self, genes: Genes, unit: Mapping[str, float]) -> Point:
        return self._space.point({**unit, **dict(zip(self._genes, genes, strict=True))})


def architecture_names(space: Space) -> tuple[str, ...]:
    """The parameters of the space that shape the network.

    Raises:
        InvalidInput: there are none.
    """
    names = tuple(name for name in space.names if name in ARCHITECTURE_NAMES)
    if not names:
        raise InvalidInput(
            "sampler.kind",
            "zero_cost chooses architectures, and the space has no parameter of one",
            f"add one of {', '.join(sorted(ARCHITECTURE_NAMES))} to it, or use another sampler",
        )
    return names


def network(space: Space, point: Point) -> ArchitectureConfig:
    """The network of an outer point; what it does not hold, the inner grids' names among it, is at the study's own
    value.
    """
    shape = {name: value for name, value in point.values.items() if name in ARCHITECTURE_NAMES}
    return architecture_config(space.settings, shape, point.attributes)
