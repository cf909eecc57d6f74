"""Optuna's samplers behind ask and tell, on the unit cube; nothing is pickled, the history is told again."""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState

from search.events import Value
from search.problem import SearchProblem, Values
from search.samplers.adaptive import AdaptiveSampler
from search.space import Point

Unit = dict[str, float]


class UnitCube(optuna.samplers.BaseSampler):
    """Mixed into one of Optuna's samplers: what that samples becomes the point of the cube that the rows will tell.

    The search space is known, so that it need not be found anew in the history. What the sampler leaves open, at the
    start or where a gene mutates, is drawn uniformly.
    """

    axes: Mapping[str, BaseDistribution]
    canonical: Callable[[Unit], Unit]
    """The one unit that stands for all units of the same legal point."""
    draws: np.random.Generator

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """Every axis of the cube."""
        return dict(self.axes)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Unit:
        """What the sampler chooses; uniform draws where it chooses nothing."""
        drawn = dict(zip(self.axes, self.draws.random(len(self.axes)).tolist(), strict=True))
        return self.canonical({**drawn, **super().sample_relative(study, trial, search_space)})  # type: ignore[safe-super]


class OptunaSampler(AdaptiveSampler):
    """An outer point is a trial of an Optuna study in memory; who runs is known to the sampler as running.

    Each ask has a sampler of its own, which keeps nothing from the asks before.
    """

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(problem)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._axes: dict[str, BaseDistribution] = {name: FloatDistribution(0.0, 1.0) for name in self._names}
        self._study = optuna.create_study(directions=[objective.direction for objective in problem.objectives])
        self._numbers: dict[int, int] = {}
        """Number in Optuna's study of each outer point's latest trial."""
        self._unused: list[int] = []
        self._added = 0

    @abstractmethod
    def _build(self, seed: int) -> UnitCube:
        """The sampler of one ask."""

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Add a point as one that runs, instead of those that were asked for under its index."""
        self._set_aside(outer)
        self._study.add_trial(
            optuna.create_trial(state=TrialState.RUNNING, params=self._unit(values), distributions=self._axes)
        )
        self._number(outer)

    def tell(self, outer: int, values: Values | None) -> None:
        """Report a point's objectives; one without any failed."""
        if values is None:
            self._study.tell(self._numbers[outer], state=TrialState.FAIL)
        else:
            self._study.tell(self._numbers[outer], values)

    def _ask(self, outer: int, seed: int) -> Point:
        self._set_aside(outer)
        self._study.sampler = self._sampler(seed)
        trial = self._study.ask(self._axes)
        self._number(outer)
        return self._space.point(trial.params)

    def _set_aside(self, outer: int) -> None:
        """Points that were asked for under this index are not used: they count as running until the next index."""
        if outer in self._numbers:
            self._unused.append(self._numbers.pop(outer))
        else:
            while self._unused:
                self._study.tell(self._unused.pop(), state=TrialState.FAIL)

    def _sampler(self, seed: int) -> UnitCube:
        sampler = self._build(seed)
        sampler.axes, sampler.canonical, sampler.draws = self._axes, self._canonical, np.random.default_rng(seed)
        return sampler

    def _canonical(self, unit: Unit) -> Unit:
        return self._unit(self._space.point(unit).values)

    def _number(self, outer: int) -> None:
        self._numbers[outer] = self._added
        self._added += 1
