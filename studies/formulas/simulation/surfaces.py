"""Planted surfaces of the loss over learning rate and batch, one for each size and length.

Each grid has its best rate and batch by planted power laws of its size N and its length D, with jitter between grids.
Along the batch the loss at the best rate is a bowl over ln B, steeper to one side. The best rate follows a ridge:
two exponents that meet at the best batch, or one that saturates. Across the ridge the loss is the bowl of
``planted.Bowl``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from studies.formulas.observations import Observation
from studies.formulas.simulation.planted import DIVERGENCE_DISTANCE, Bowl
from studies.records import TrialState

STEP_LAW_GRIDS = (
    (2.15e8, 1.1e10),
    (2.15e8, 1e11),
    (2.68e8, 8e10),
    (4.29e8, 4e9),
    (4.29e8, 2e10),
    (5.37e8, 2.8e10),
    (1.07e9, 2e9),
    (1.07e9, 2e10),
    (1.07e9, 5e10),
)
"""Nine sizes and lengths spread as in the published table (size in non-embedding parameters, tokens)."""
STEP_LAW_BATCHES = tuple(2.0**power for power in (16.0, 17.0, 18.0, 18.6, 19.0, 19.5, 20.0, 20.5, 21.0, 22.0))
"""About those of most published grids."""
ACROSS = Bowl(curvature=0.027, noise=0.0044)
"""Across the ridge (measured in nine Step Law grids)."""
ALONG = Bowl(curvature=0.011, asymmetry=0.35, noise=0.0)
"""Along it (measured there: 0.010 to 0.013 a (log batch)², and steeper towards large batches)."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """ln of the best rate at a batch over that at the best batch; x = ln(B / B*)."""

    below: float = 0.6
    above: float = 0.05
    saturation: float | None = None
    """B_noise over B* where the rate is lr_max / (1 + B_noise/B)^``below`` instead."""
    rounding: float = 0.3
    """Width in x over which the two exponents merge; 0: a kink."""

    def at(self, x: float) -> float:
        """The ridge's height at x; 0 at 0."""
        return self._height(x) - self._height(0.0)

    def _height(self, x: float) -> float:
        if self.saturation is not None:
            return -self.below * math.log1p(self.saturation * math.exp(-x))
        softened = self.rounding * _softplus(x / self.rounding) if self.rounding else max(x, 0.0)
        return self.below * x + (self.above - self.below) * softened


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@dataclass(frozen=True, slots=True)
class SurfacePlan:
    """What is planted."""

    grids: Sequence[tuple[float, float]] = STEP_LAW_GRIDS
    """(N, D) of each."""
    rate_exponents: tuple[float, float] = (-0.7, 0.3)
    """a and b of lr* = 0.003 (N / 5e8)^a (D / 2e10)^b, at the best batch."""
    batch_exponent: float = 0.57
    """e of B* = 2^18.5 (D / 2e10)^e."""
    middle_batch: float = 2.0**18.5
    batches: Sequence[float] = STEP_LAW_BATCHES
    rates: Sequence[float] = tuple(2.0 ** (step / 2 - 11) for step in range(12))
    """2^-11 to 2^-5.5, as in the published table."""
    ridge: Ridge = Ridge()
    bowl: Bowl = ACROSS
    batch_bowl: Bowl = ALONG
    rate_jitter: float = 0.06
    """Of ln lr* between grids."""
    batch_jitter: float = 0.15
    """Of ln B* between grids."""
    cell_jitter: float = 0.04
    """Of the ridge between batches of one grid."""
    missing: float = 0.05


def plant_surfaces(plan: SurfacePlan, generator: Generator) -> list[Observation]:
    """Draw the observations of one study; grids differ in ``width`` and report their size and length."""
    rows: list[Observation] = []
    for index, (size, tokens) in enumerate(plan.grids):
        x, y = math.log(size / 5e8), math.log(tokens / 2e10)
        log_rate = math.log(0.003) + plan.rate_exponents[0] * x + plan.rate_exponents[1] * y
        log_rate += plan.rate_jitter * float(generator.standard_normal())
        log_batch = math.log(plan.middle_batch) + plan.batch_exponent * y
        log_batch += plan.batch_jitter * float(generator.standard_normal())
        columns = {"non_embedding_parameters": size, "train_tokens": tokens}
        for batch in plan.batches:
            distance = math.log(batch) - log_batch
            best = log_rate + plan.ridge.at(distance) + plan.cell_jitter * float(generator.standard_normal())
            base = 2.4 + plan.batch_bowl.cost(distance, generator)
            for rate in plan.rates:
                if generator.random() < plan.missing:
                    continue
                off = math.log(rate) - best
                failed = off > DIVERGENCE_DISTANCE
                metrics = {} if failed else {"validation_loss": base + plan.bowl.cost(off, generator)}
                state = TrialState.FAIL if failed else TrialState.COMPLETE
                parameters = {"width": 64 * (index + 8), "batch_tokens": int(batch), "learning_rate": rate}
                rows.append(Observation(len(rows), state, parameters, {**metrics, **columns}, {}))
    return rows
