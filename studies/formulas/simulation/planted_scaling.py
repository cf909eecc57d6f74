"""Planted scaling laws: runs whose law of size and length is known."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from search.events import Value
from studies.formulas.observations import Observation
from studies.formulas.simulation.planted import Bowl
from studies.records import TrialState


@dataclass(frozen=True, slots=True)
class ScalingPlan:
    """A planted law L = floor + terms that fall with size and length, on a grid of both."""

    alpha: float = 0.35
    beta: float = 0.37
    floor: float = 1.8
    terms: tuple[float, float] = (0.9, 0.9)
    """Of size and of length in the middle of the grid, in nats (assumed: as Chinchilla's smaller runs)."""
    sizes: int = 8
    lengths: int = 6
    span: float = 30.0
    """Largest over smallest size, and length."""
    middle: tuple[float, float] = (1e6, 2e7)
    """Parameters and tokens in the middle of the grid."""
    noise: float = 0.003
    """Standard deviation of the log loss of a run (measured: 0.002 to 0.004 between seeds at 1M parameters)."""
    jitter: float = 0.003
    """The same of an architecture, which its runs of every length share."""
    outliers: float = 0.0
    """Share of runs whose loss is 5 to 50 % too high."""
    missing: float = 0.05
    rates: tuple[float, ...] = ()
    """Learning rates of every pair of size and length; none: the rate is not reported, and the best."""
    bowl: Bowl = field(default_factory=lambda: Bowl(noise=0.0))
    checkpoints: float = 0.0
    """Share of the variance of a run's noise that all lengths of one size have in common, as checkpoints have."""

    @property
    def size_exponent(self) -> float:
        """The exponent of the best size in compute."""
        return self.beta / (self.alpha + self.beta)


def plant_scaling(plan: ScalingPlan, generator: Generator) -> list[Observation]:
    """Draw the runs of one study."""
    rows: list[Observation] = []
    reach = math.log(plan.span) / 2
    for x in np.linspace(-reach, reach, plan.sizes):
        shared = plan.jitter * generator.standard_normal()
        shared += plan.noise * math.sqrt(plan.checkpoints) * generator.standard_normal()
        for y in np.linspace(-reach, reach, plan.lengths):
            if generator.random() < plan.missing:
                continue
            mean = plan.floor + plan.terms[0] * math.exp(-plan.alpha * x) + plan.terms[1] * math.exp(-plan.beta * y)
            size, length = (round(at * math.exp(z)) for at, z in zip(plan.middle, (x, y), strict=True))
            rows += _runs(plan, mean * math.exp(shared), size, length, len(rows), generator)
    return rows


def _runs(
    plan: ScalingPlan, mean: float, size: int, length: int, first: int, generator: Generator
) -> list[Observation]:
    """One run, or one at each learning rate."""
    rows: list[Observation] = []
    best = math.log(0.003) - 0.2 * math.log(size / plan.middle[0]) + 0.1 * generator.standard_normal()
    for rate in plan.rates or (None,):
        excess = 0.0 if rate is None else plan.bowl.cost(math.log(rate) - best, generator)
        noise = plan.noise * math.sqrt(1 - plan.checkpoints) * generator.standard_normal()
        noise += generator.uniform(0.05, 0.5) if generator.random() < plan.outliers else 0.0
        parameters: dict[str, Value] = {} if rate is None else {"learning_rate": rate}
        metrics = {
            "validation_loss": (mean + excess) * math.exp(noise),
            "total_parameters": float(size),
            "train_tokens": float(length),
        }
        rows.append(Observation(first + len(rows), TrialState.COMPLETE, parameters, metrics, {}))
    return rows
