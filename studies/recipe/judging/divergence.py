"""The risk that a run diverges at the recommended rate, from the trials that did and those that did not."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from studies.formulas.observations import DIVERGENCE_RISE, Runs
from studies.recipe.basis import Basis
from studies.recipe.evidence import DivergenceRisk
from studies.recipe.judging.cells import RATE, Cell, Cells
from studies.recipe.recipe import RecipeField, figures, placed

WINDOW = 2.0
"""Runs within this factor of the best rate of their size and batch stand for the recommended one (assumed: the usual
step between tried rates)."""
DEVIATIONS = 1.959964
"""Of the normal distribution, for 95 %."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class _Run:
    """A run's rate over the best one of its size and batch."""

    ratio: float
    diverged: bool


def divergence_risk(basis: Basis, cells: Cells, rate: RecipeField, factors: dict[str, float]) -> DivergenceRisk | None:
    """How often runs diverged that were as near to the best rate of their size and batch as the recommended one is.

    Args:
        basis: the evidence.
        cells: of its trials.
        rate: the recommended rate.
        factors: how far the target lies outside the trials.

    Returns:
        None where no trial says anything: there is none, or none whose best rate is bracketed.
    """
    runs = [run for cell in cells.bracketed for run in _runs(cell, basis)]
    if not runs:
        return None
    near = [run for run in runs if abs(math.log(run.ratio)) <= math.log(WINDOW) * (1 + 1e-9)]
    diverged = sum(run.diverged for run in near)
    low, high = wilson(diverged, len(near))
    return DivergenceRisk(
        learning_rate=float(rate.value or 0.0),
        window=WINDOW,
        runs=len(near),
        diverged=diverged,
        share=diverged / len(near) if near else None,
        low=low,
        high=high,
        level=LEVEL,
        nearest_diverged=min((run.ratio for run in runs if run.diverged), default=None),
        highest_stable=max((run.ratio for run in runs if not run.diverged), default=None),
        note=_note(rate, factors, len(cells.bracketed)),
    )


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22(158)); 0 to 1 without trials."""
    if not trials:
        return 0.0, 1.0
    square = DEVIATIONS**2
    centre = (successes + square / 2) / (trials + square)
    half = DEVIATIONS / (trials + square) * math.sqrt(successes * (trials - successes) / trials + square / 4)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _runs(cell: Cell, basis: Basis) -> Iterator[_Run]:
    """Runs that reached their end, or diverged; those that failed for another reason say nothing."""
    best, limit = cell.best_rate, divergence_limit(cell.runs)
    for row in cell.observations:
        rate, cost = row.number_of(RATE), basis.context.cost(row)
        if best is None or rate is None or rate <= 0:
            continue
        if cost is not None:
            yield _Run(rate / best, cost > limit)
        elif row.number in basis.diverged:
            yield _Run(rate / best, True)


def divergence_limit(runs: Runs) -> float:
    """The cost from which on a run of the cell has diverged although it ended."""
    best = min(runs.costs)
    return best + DIVERGENCE_RISE * abs(best)


def _note(rate: RecipeField, factors: dict[str, float], cells: int) -> str:
    stands = (
        "the recommended rate is taken for the best one of its size and batch, as the laws and the trials have it"
        if rate.source in ("formula", "trial")
        else "the recommended rate was not measured; that it is about the best one of its size and batch is assumed"
    )
    outside = [placed(factor, f"the trials' {name}") for name, factor in factors.items() if factor > 1]
    reach = f"; the target lies {', '.join(outside)}, where the risk may be higher" if outside else ""
    return f"{figures(cells)} combinations of size and batch with a best rate inside the tried ones; {stands}{reach}"
