"""Joint laws fitted to nine published learning rate × batch grids, against the laws published from all seventeen.

The published laws are Step Law's (arXiv 2503.04715, equation 1): lr* = 1.79 N^-0.713 D^0.307 and B* = 0.58 D^0.571.
Windows and priors of the estimators were fixed on planted surfaces (``studies/formulas/simulation/surfaces.py``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.replay_grids import Grid, constant_law, excess_of, nearest, places_of, read_grids
from search.laws import STEP_LAW
from studies.formulas.evaluation import evaluate
from studies.formulas.formula import Coefficient, Formula
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation
from studies.records import TrialState

WIDEST: Mapping[str, float] = {"a": 0.7, "b": 0.4, "e": 0.55}
"""Largest widths of the intervals."""
MEDIAN_RATIO, MAX_RATIO, AGAINST_CONSTANT = 1.0020, 1.0045, 0.6
"""Goals for the loss of the predicted config over the lowest of its grid, and for its median excess over that of the
best constant config."""
CONTEXT = FitContext(("steplaw",), "validation_loss")


@dataclass(frozen=True)
class LeftOut:
    """Loss over the grid's lowest of the config that is nearest to what the other grids predict, for each grid."""

    law: np.ndarray
    constant: np.ndarray


def observations(grids: Sequence[Grid]) -> list[Observation]:
    """The runs as trials; sizes and lengths are metrics, grids differ in an attribute."""
    rows: list[Observation] = []
    for index, grid in enumerate(grids):
        columns = {"non_embedding_parameters": float(grid.size), "train_tokens": float(grid.tokens)}
        for run in grid.recording.runs:
            state = TrialState.FAIL if run.failed else TrialState.COMPLETE
            loss = {} if run.failed else {"validation_loss": run.evaluations[-1].values[0]}
            parameters = {**run.parameters, "depth": index}
            rows.append(Observation(len(rows), state, parameters, {**loss, **columns}, {}))
    return rows


def laws(grids: Sequence[Grid]) -> dict[str, Formula]:
    """Every law of the grids by variant."""
    return {law.variant: law for law in fit_learning_rate_batch(observations(grids), CONTEXT)}


@cache
def all_grids() -> tuple[Grid, ...]:
    """The grids; none where the table is not there."""
    return tuple(read_grids())


def predicted_config(found: Mapping[str, Formula], grid: Grid) -> tuple[float, float]:
    """Ln lr and ln B of a grid by B*(D) and lr*(N, D)."""
    tokens = {"train_tokens": float(grid.tokens)}
    batch = evaluate(found["best_batch"], tokens).estimate
    rate = evaluate(found["rate_at_best_batch"], {**tokens, "non_embedding_parameters": float(grid.size)}).estimate
    return float(np.log(rate)), float(np.log(batch))


@cache
def left_out() -> LeftOut:
    """Leave one grid out at a time: of everything, profiles included."""
    grids = all_grids()
    law, constant = [], []
    for index, grid in enumerate(grids):
        others = [other for place, other in enumerate(grids) if place != index]
        law.append(_ratio(grid, predicted_config(laws(others), grid)))
        same = constant_law(grids, index)
        assert same.batch is not None
        constant.append(_ratio(grid, (np.log(same.rate.coefficient), np.log(same.batch.coefficient))))
    return LeftOut(np.array(law), np.array(constant))


def _ratio(grid: Grid, config: tuple[float, float]) -> float:
    """Loss of the run nearest to a config, over the grid's lowest."""
    return float(excess_of(grid)[nearest(np.array([config]), places_of(grid))[0]])


def measure_intervals() -> float | None:
    """The smallest of goal ÷ width over a, b and e; 0 where an interval misses the published value."""
    if not all_grids():
        return None
    found = laws(all_grids())
    published = {
        "a": STEP_LAW.rate.size,
        "b": STEP_LAW.rate.tokens,
        "e": STEP_LAW.batch.tokens if STEP_LAW.batch else 0,
    }
    intervals = {**found["rate_at_best_batch"].coefficients, **found["best_batch"].coefficients}
    return min(_interval(name, intervals[name], value) for name, value in published.items())


def _interval(name: str, found: Coefficient, published: float) -> float:
    assert found.estimate is not None
    assert found.low is not None
    assert found.high is not None
    inside = found.low <= published <= found.high
    print(
        f"{name}: {found.estimate:.3f} ({found.low:.3f} to {found.high:.3f}), published {published}, inside: {inside}"
    )
    return WIDEST[name] / (found.high - found.low) if inside else 0.0


def measure_left_out_loss() -> float | None:
    """The smaller of goal ÷ value, of the median and of the largest loss ratio, in units of the excess."""
    if not all_grids():
        return None
    law = left_out().law
    print(
        f"loss of the predicted config / lowest: median {np.median(law):.5f}, max {law.max():.5f}; {np.round(law, 4)}"
    )
    goals = ((MEDIAN_RATIO, float(np.median(law))), (MAX_RATIO, float(law.max())))
    return min((goal - 1) / max(value - 1, 1e-9) for goal, value in goals)


def measure_against_constant() -> float | None:
    """0.6 x the best constant config's median excess ÷ the law's."""
    if not all_grids():
        return None
    law, constant = (float(np.median(values)) - 1 for values in (left_out().law, left_out().constant))
    print(f"median excess: law {law:.5f}, best constant config {constant:.5f}, ratio {law / constant:.3f}")
    return AGAINST_CONSTANT * constant / max(law, 1e-9)
