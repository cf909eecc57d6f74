"""Genetic algorithms with non-dominated sorting: NSGA-II (Deb et al. 2002) and NSGA-III (Deb and Jain 2014)."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.samplers import BaseGASampler
from optuna.trial import FrozenTrial

from search.problem import SearchProblem, Values
from search.samplers.adaptive import seed_of
from search.samplers.ask_and_tell import OptunaSampler, UnitCube

POPULATION = 12
"""Points of a generation (measured: docs/search.md; the papers take about 100, for budgets of 25 000 points)."""


class Generations(UnitCube, BaseGASampler):
    """Mixed into one of Optuna's genetic samplers, which store generations in their study: here they are given."""

    children: Sequence[FrozenTrial] = ()
    parents: Sequence[FrozenTrial] = ()

    def get_trial_generation(self, study: Any, trial: Any) -> int:
        """The generation after that of the parents; nothing but the difference counts."""
        return 1

    def get_population(self, study: Any, generation: int) -> list[FrozenTrial]:
        """The generation that has just been told."""
        return list(self.children)

    def get_parent_population(self, study: Any, generation: int) -> list[FrozenTrial]:
        """The points that were selected last; none before the first generation was told."""
        return list(self.parents)


class _Nsga2(Generations, optuna.samplers.NSGAIISampler):
    """On the unit cube."""


class _Nsga3(Generations, optuna.samplers.NSGAIIISampler):
    """On the unit cube."""


class _NsgaSampler(OptunaSampler):
    """A generation is so many points that were told one after the other, whoever chose them.

    Optuna keeps generations in its storage and counts them as trials are asked for. Here they follow from the order
    in which points were told, which is all that a search that goes on from its rows knows.
    """

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(problem)
        self._children: list[FrozenTrial] = []
        self._parents: list[FrozenTrial] = []
        self._generation = 0

    def tell(self, outer: int, values: Values | None) -> None:
        """Report a point's objectives; with the last of a generation the parents of the next one are selected."""
        super().tell(outer, values)
        if values is None:
            return
        self._children.append(self._study.get_trials(deepcopy=False)[self._numbers[outer]])
        if len(self._children) == POPULATION:
            selecting = self._build(seed_of(self._seed, self._generation, 1))
            self._parents = selecting.select_parent(self._study, 1)
            self._generation += 1
            self._children = []

    def _build(self, seed: int) -> Generations:
        sampler = self._genetic(seed)
        sampler.children, sampler.parents = self._children, self._parents
        return sampler

    @abstractmethod
    def _genetic(self, seed: int) -> Generations:
        """One of Optuna's genetic samplers."""


class Nsga2Sampler(_NsgaSampler):
    """Survivors are chosen by front, and within one by crowding distance."""

    def _genetic(self, seed: int) -> Generations:
        return _Nsga2(seed=seed, population_size=POPULATION)


class Nsga3Sampler(_NsgaSampler):
    """Survivors are chosen by front, and within one by their nearness to evenly spread reference directions."""

    def _genetic(self, seed: int) -> Generations:
        return _Nsga3(seed=seed, population_size=POPULATION)
