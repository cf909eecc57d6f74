"""A bandit over families, each searched by a sampler of its own (arXiv 1905.13703)."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

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


@dataclass(eq=False, slots=True)
class Pull:
    """A point of a family."""

    index: int
    """What the family's sampler calls it."""
    values: Mapping[str, Value]
    """Without those that make the family."""
    told: bool = False
    objectives: Values | None = None


class Family:
    """One arm: the part of the space where the family's parameters have ``values``, and the sampler of that part."""

    def __init__(self, values: Mapping[str, Value], problem: SearchProblem, build: BuildSampler) -> None:
        """``problem`` is that of the part, ``build`` makes its sampler."""
        self.values = values
        self._make = partial(build, problem)
        self._sign = 1.0 if problem.objective.direction == "maximize" else -1.0
        self._sampler = self._make()
        self._pulls: dict[int, Pull] = {}

    @property
    def arm(self) -> Arm:
        """What the bandit knows of the family: the first objective in the order of the pulls, larger ones better."""
        told = [pull.objectives for pull in self._pulls.values() if pull.told]
        feedback = [-math.inf if objectives is None else self._sign * objectives[0] for objectives in told]
        return Arm(np.array(feedback), len(self._pulls) - len(told))

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether a point is one of the family."""
        return all(values.get(name) == value for name, value in self.values.items())

    def point(self, outer: int, attempt: int) -> Point | None:
        """The sampler's point, instead of those that were asked for under this index."""
        self._pulls.pop(outer, None)
        index = self._index(outer)
        point = self._sampler.point(index, attempt)
        if point is None:
            return None
        self._pulls[outer] = Pull(index, point.values)
        return Point({**self.values, **point.values}, point.attributes)

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Count a point that the sampler has not chosen, instead of those that were asked for under this index."""
        self._pulls.pop(outer, None)
        pull = Pull(self._index(outer), {name: value for name, value in values.items() if name not in self.values})
        self._sampler.restore(pull.index, pull.values)
        self._pulls[outer] = pull

    def tell(self, outer: int, objectives: Values | None) -> None:
        """Report a point's objectives; one without any failed."""
        pull = self._pulls[outer]
        pull.told, pull.objectives = True, objectives
        self._sampler.tell(pull.index, objectives)

    def give_up(self, outer: int) -> None:
        """Forget a point whose place one of another family takes: the sampler is made anew from the others."""
        del self._pulls[outer]
        self._sampler = self._make()
        for pull in self._pulls.values():
            self._sampler.restore(pull.index, pull.values)
            if pull.told:
                self._sampler.tell(pull.index, pull.objectives)

    def _index(self, outer: int) -> int:
        """The sampler's name for an outer point: a declared design goes through its indices without a gap."""
        if outer >= 0 and isinstance(self._sampler, DeclaredDesign):
            return sum(pull.index >= 0 for pull in self._pulls.values())
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
        parts = families(problem.space, problem.sampler.family or ())
        self._families = [
            Family(values, _below(problem, part, number), build) for number, (values, part) in enumerate(parts)
        ]
        self._chosen: dict[int, Family] = {}

    def point(self, outer: int, attempt: int = 0) -> Point | None:
        """The next point of the best family that has one; None when all are exhausted.

        Further attempts are the same family's: it was asked for nothing else meanwhile.
        """
        chosen = self._chosen.get(outer)
        ranked = [self._families[number] for number in ranking(RULE, [family.arm for family in self._families])]
        for family in ranked if chosen is None else [chosen]:
            point = family.point(outer, attempt)
            if point is not None:
                self._chosen[outer] = family
                return point
        return None

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Count a point that was chosen elsewhere, or in an earlier run, as a pull of its family."""
        before = self._chosen.pop(outer, None)
        family = next((family for family in self._families if family.holds(values)), None)
        if before is not None and before is not family:
            before.give_up(outer)
        if family is not None:
            family.restore(outer, values)
            self._chosen[outer] = family

    def tell(self, outer: int, values: Values | None) -> None:
        """Report a point's objectives to its family; one without any failed."""
        if outer in self._chosen:
            self._chosen[outer].tell(outer, values)


def families(space: Space, names: Sequence[str]) -> list[tuple[dict[str, Value], Space]]:
    """The legal combinations of some parameters' values, and the part of the space that each leaves.

    Raises:
        InvalidInput: a name is not in the space, is conditional, has a continuum of values, or there are too many
            combinations, or none that is legal.
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
    parts = [(values, part) for values in each if (part := part_of(space, values)) is not None]
    if not parts:
        raise InvalidInput(
            "sampler.family", "no family satisfies the constraints", "relax them, or name another family"
        )
    return parts


def _below(problem: SearchProblem, part: Space, number: int) -> SearchProblem:
    """The problem of one family; its sampler has a seed of its own, so that families do not repeat each other's
    draws.
    """
    seed = int(np.random.SeedSequence([problem.sampler.seed, number]).generate_state(1)[0])
    assert problem.sampler.below is not None  # a validator of the spec has filled it
    return replace(problem, space=part, sampler=SamplerSpec(kind=problem.sampler.below, seed=seed))
