"""The rounds of a run in steps: plain arithmetic, no torch."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from model.errors import InvalidInput
from trainer.rounds.config import RoundsConfig

ROUNDING = 1e-9
"""Steps by which a product may lie below the whole number that it stands for (assumed)."""


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """A first round of ``first_steps`` in ``parts``, and further rounds of ``later_steps`` each."""

    rounds: int
    parts: int
    first_steps: int
    later_steps: int
    """0 where there is one round."""

    @property
    def boundaries(self) -> tuple[int, ...]:
        """Steps after which the next round is chosen."""
        return tuple(self.first_steps + number * self.later_steps for number in range(self.rounds - 1))

    def round_at(self, step: int) -> int:
        """The round that step ``step`` belongs to, both counted from 1; a step beyond the run, to the last one."""
        return bisect_left(self.boundaries, step) + 1

    def start(self, number: int) -> int:
        """Steps before the round ``number``, counted from 1."""
        return 0 if number == 1 else self.boundaries[number - 2]

    @property
    def part_bounds(self) -> tuple[int, ...]:
        """Steps of the first round before each part, and those of all of it; parts differ by a step at most."""
        return tuple(self.first_steps * part // self.parts for part in range(self.parts + 1))

    @property
    def taken(self) -> tuple[int, ...]:
        """Batches that a later round takes from each part: ``later_steps`` over ``first_steps`` of it, rounded."""
        ends = [self.later_steps * bound // self.first_steps for bound in self.part_bounds]
        return tuple(after - before for before, after in pairwise(ends))

    def ended_parts(self, step: int) -> int:
        """Parts of the first round that have been trained once ``step`` steps are done."""
        return sum(bound <= step for bound in self.part_bounds[1:])

    def ended_rounds(self, step: int) -> int:
        """Rounds after which another one is chosen and that ``step`` steps have completed."""
        return sum(boundary <= step for boundary in self.boundaries)


def plan_rounds(config: RoundsConfig, steps: int) -> RoundPlan | None:
    """Cut a run of T steps into its rounds: T = T1 + (rounds - 1) · K, where K is rate · T1 rounded down.

    The first round takes what rounding leaves, so that K is never more than it has. None for a run of one round whose
    parts nobody asks for.

    Raises:
        InvalidInput: a part would have no batch, or give none to a later round.
    """
    if config.rounds == 1 and not config.measures_forgetting:
        return None
    later = config.rounds - 1
    exact = steps * config.sampling_rate / (1 + config.sampling_rate * later)
    later_steps = math.floor(exact + ROUNDING) if later else 0
    plan = RoundPlan(config.rounds, config.parts, steps - later * later_steps, later_steps)
    if plan.first_steps < plan.parts:
        reason = f"a first round of {plan.first_steps} steps has no {plan.parts} parts"
        raise InvalidInput("parts", reason, f"give at most {plan.first_steps}, or a longer run")
    if later and min(plan.taken) < 1:
        raise _too_short(plan, steps)
    return plan


def _too_short(plan: RoundPlan, steps: int) -> InvalidInput:
    shown = f"a run of {steps} steps has rounds of {plan.first_steps} and then {plan.later_steps} steps"
    if plan.later_steps < 1:
        return InvalidInput("rounds", shown, "give fewer rounds, a higher sampling_rate or a longer run")
    reason = f"{shown}, too few for a batch of each of the {plan.parts} parts of the first round"
    return InvalidInput("parts", reason, "give fewer parts, a higher sampling_rate or a longer run")
