"""Leaders on fresh seeds: the best settings of a search are trained again before one of them is called the winner.

The best of many noisy values is biased towards luck (the winner's curse: Capen, Clapp and Campbell, "Competitive
bidding in high-risk situations", J. Petroleum Technology 23, 1971). Values on seeds that had no part in the choice are
not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from search.events import Value
from search.origins import ORIGIN, REPLICATE, REPLICATE_OF
from search.problem import SearchProblem, Values

SEED = "seed"
SEEDS = 2**63
"""Seeds are below it (the config's own bound)."""


@dataclass(frozen=True, slots=True)
class _Complete:
    number: int
    parameters: Mapping[str, Value]
    cost: float


class Replicates:
    """Which settings are trained again, and on which seeds: a function of the trials with numbers below a block's."""

    def __init__(self, problem: SearchProblem) -> None:
        self._count = problem.seeds.count
        self._most = problem.seeds.leaders
        self._sign = 1.0 if problem.objective.direction == "minimize" else -1.0
        given = problem.space.inner.get(SEED)
        self._seed = problem.space.settings.seed if given is None else int(given[0])
        self._complete: list[_Complete] = []
        self._leaders: dict[int, list[_Complete]] = {}

    def note(self, number: int, parameters: Mapping[str, Value], values: Values) -> None:
        """Learn of a trial that reached its end."""
        self._complete.append(_Complete(number, parameters, self._sign * values[0]))

    def trial(self, first: int, block: int, index: int) -> tuple[dict[str, Value], dict[str, Value]] | None:
        """Parameters and attributes of a replicate; None when there are fewer leaders.

        Args:
            first: first number of its block; leaders have lower ones.
            block: how many blocks there were before.
            index: its place in the block: the seeds of the first leader, then those of the second, …
        """
        rank = index // self._count
        leaders = self._leaders_before(first)
        if rank >= len(leaders):
            return None
        seed = (self._seed + 1 + block * self._count * self._most + index) % SEEDS
        leader = leaders[rank]
        attributes: dict[str, Value] = {ORIGIN: "replicate", REPLICATE_OF: leader.number, REPLICATE: index}
        return {**leader.parameters, SEED: seed}, attributes

    def siblings(self, first: int, number: int) -> range:
        """Numbers of all replicates of the leader that ``number`` is one of, in the block that begins at ``first``."""
        start = number - (number - first) % self._count
        return range(start, start + self._count)

    def _leaders_before(self, first: int) -> list[_Complete]:
        if first not in self._leaders:
            ranked = sorted((trial.cost, trial.number, trial) for trial in self._complete if trial.number < first)
            found: dict[frozenset[tuple[str, Value]], _Complete] = {}
            for _, _, trial in ranked:
                found.setdefault(frozenset(trial.parameters.items()), trial)
            self._leaders[first] = list(found.values())[: self._most]
        return self._leaders[first]
