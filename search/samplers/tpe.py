"""Tree-structured Parzen estimators through Optuna's ask and tell; nothing is pickled, the history is told again."""

import warnings
from collections.abc import Mapping

import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from search.events import Value
from search.problem import SearchProblem, Values
from search.space import Point


class TpeSampler:
    """TPE on the unit cube (arXiv 2304.11127), so that it too can only ask for legal points.

    Outer points that still run count as bad ones (constant liar), which keeps parallel trials apart. Each ask has a
    seed of its own, derived from the study's seed and the index, so that a resumed search does not repeat its draws.
    """

    def __init__(self, problem: SearchProblem) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = problem.space
        self._seed = problem.sampler.seed
        self._distributions = {name: FloatDistribution(0.0, 1.0) for name in problem.space.names}
        self._study = optuna.create_study(directions=[objective.direction for objective in problem.objectives])
        self._trials: dict[int, int] = {}

    def point(self, outer: int, attempt: int = 0) -> Point:
        """Ask for the next point; a point that was asked for before under this index has failed."""
        if outer in self._trials:
            self.tell(outer, None)
        seed = int(np.random.SeedSequence([self._seed, outer, *([attempt] if attempt else [])]).generate_state(1)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
        trial = self._study.ask(dict(self._distributions))
        self._trials[outer] = trial.number
        return self._space.point(trial.params)

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Add a point of an earlier run as one that still runs."""
        self._trials[outer] = len(self._study.get_trials(deepcopy=False))
        self._study.add_trial(
            optuna.create_trial(
                state=TrialState.RUNNING, params=self._space.unit(values), distributions=dict(self._distributions)
            )
        )

    def tell(self, outer: int, values: Values | None) -> None:
        """Report a point's objectives; one without any failed."""
        if values is None:
            self._study.tell(self._trials[outer], state=TrialState.FAIL)
        else:
            self._study.tell(self._trials[outer], values)
