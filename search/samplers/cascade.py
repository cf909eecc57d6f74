"""A bandit over families, each searched by a sampler of its own (arXiv 1905.13703)."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from model.errors import InvalidInput
from search.bandits import Arm, ErUcbStationary, OverMedian, ranking
from search.events import Value
from search.problem import SearchProblem, Values
from search.samplers.base import Sampler
from search.samplers.designs import DeclaredDesign
from search.settings import SamplerSpec
from search.space import Point, Space, part_of

RULE = OverMedian(ErUcbStationary(beta=0.0, gamma=1.0))
"""How a family is chosen. Feedback above the median is shifted already, which β is for, and one-sided, so that γ need
not outweigh the second moment: the two constants are derived, θ is the published one."""

MAX_FAMILIES = 64
"""Most families of a cascade (assumed: each is tried before one is preferred)."""

BuildSampler = Callable[[SearchProblem], Sampler]


@dataclass(eq=False)
class Family:
    """One arm: the part of the space where the family's parameters have ``values``, and the sampler of that part."""

    values: Mapping[str, Value]
    sampler: Sampler
    indices: dict[int, int] = field(default_factory=dict)
    """Outer index of each pull → its index at the sampler."""
    told: dict[int, float] = field(default_factory=dict)
    """First objective by outer index, larger ones better; −∞ where a trial failed."""

    @property
    def arm(self) -> Arm:
        """What the bandit knows of the family, in the order of its pulls."""
        known = [self.told[outer] for outer in self.indices if outer in self.told]
        return Arm(np.array(known), len(self.indices) - len(known))

    def next_index(self, outer: int) -> int:
        """What the sampler is to call an outer point: a design goes through its indices without a gap."""
        if outer >= 0 and isinstance(self.sampler, DeclaredDesign):
            return sum(index >= 0 for index in self.indices)
        return outer


class CascadeSampler:
    """ER-UCB over families: choose one by the extreme region of its feedback, and let its sampler choose the point.

    A family is a legal combination of values of the parameters that ``sampler.family`` names; its sampler, of the kind
    ``sampler.below``, searches the part of the space where they are fixed. Feedback is the first objective of a point;
    one that failed is the worst. Points that came from elsewhere count as pulls of their family; those of no family are
    ignored.
    """

    def __init__(self, problem: SearchProblem, build: BuildSampler) -> None:
        """``build`` makes the samplers of the families.

        Raises:
            InvalidInput: ``sampler.family`` does not name families of this space, or the sampler below cannot search
                one of them.
        """
        self._sign = 1.0 if problem.objective.direction == "maximize" else -1.0
        self._names = problem.sampler.family or ()
        self._families = tuple(
            Family(values, build(_below(problem, part, number)))
            for number, (values, part) in enumerate(families(problem.space, self._names))
        )
        self._chosen: dict[int, Family] = {}

    def point(self, outer: int, attempt: int = 0) -> Point | None:
        """The next point of the best family that has one; None when all are exhausted.

        Further attempts are the same family's, which has not pulled meanwhile.
        """
        self._forget(outer)
        for number in ranking(RULE, [family.arm for family in self._families]):
            family = self._families[number]
            index = family.next_index(outer)
            point = family.sampler.point(index, attempt)
            if point is not None:
                self._pull(outer, index, family)
                return Point({**family.values, **point.values}, point.attributes)
        return None

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Count a point that was chosen elsewhere, or in an earlier run, as a pull of its family."""
        self._forget(outer)
        for family in self._families:
            if all(values.get(name) == family.values[name] for name in self._names):
                index = family.next_index(outer)
                family.sampler.restore(index, values)
                self._pull(outer, index, family)

    def tell(self, outer: int, values: Values | None) -> None:
        """Report a point's objectives to its family; one without any failed."""
        family = self._chosen.get(outer)
        if family is not None:
            family.told[outer] = -math.inf if values is None else self._sign * values[0]
            family.sampler.tell(family.indices[outer], values)

    def _pull(self, outer: int, index: int, family: Family) -> None:
        family.indices[outer] = index
        self._chosen[outer] = family

    def _forget(self, outer: int) -> None:
        """Take back the pull of this index: its point is not used."""
        family = self._chosen.pop(outer, None)
        if family is not None:
            del family.indices[outer]
            family.told.pop(outer, None)


def families(space: Space, names: Sequence[str]) -> list[tuple[dict[str, Value], Space]]:
    """The legal combinations of some parameters' values, and the part of the space that each leaves.

    Raises:
        InvalidInput: a name is not in the space, is conditional, has a continuum of values, or there are too many
            combinations.
    """
    for name in names:
        if name not in space.parameters:
            known = ", ".join(space.names)
            raise InvalidInput("sampler.family", f"{name} is not in the space", f"use one of {known}")
        if name in space.frame.conditions.allowed:
            parents = " and ".join(space.frame.conditions.allowed[name])
            raise InvalidInput(
                "sampler.family", f"{name} does not exist everywhere", f"name what it depends on, {parents}, instead"
            )
        if space.parameters[name].size is None:
            raise InvalidInput(
                "sampler.family", f"{name} is continuous and families are few", "give it a step or choices"
            )
    count = math.prod(space.parameters[name].size or 1 for name in names)
    if count > MAX_FAMILIES:
        raise InvalidInput(
            "sampler.family",
            f"{' × '.join(names)} make {count} families, more than {MAX_FAMILIES}",
            "name fewer or smaller parameters",
        )
    combinations = itertools.product(*(space.parameters[name].values() for name in names))
    each = [dict(zip(names, values, strict=True)) for values in combinations]
    return [(values, part) for values in each if (part := part_of(space, values)) is not None]


def _below(problem: SearchProblem, part: Space, number: int) -> SearchProblem:
    """The problem of one family; its sampler has a seed of its own, so that families do not repeat each other's
    draws.
    """
    seed = int(np.random.SeedSequence([problem.sampler.seed, number]).generate_state(1)[0])
    assert problem.sampler.below is not None  # a validator of the spec has filled it
    return replace(problem, space=part, sampler=SamplerSpec(kind=problem.sampler.below, seed=seed))
