"""The exponent window by window: is r the same below, at and above each grid's best batch?

Batches count in units of their own grid's best one, B*. The paper's r = 0.5 is compared with the exponent up to the
best batch and from it on; further windows, which overlap, show how it falls.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.formulas.fitting.fit import Interval, Problem, determined, fit
from studies.formulas.formula import Coefficient
from studies.formulas.learning_rate_batch.cells import JITTER_SCALE, MIN_SPREAD_GRIDS, SPREAD_SCALE, Cell
from studies.formulas.learning_rate_batch.exponents import CLAIM, HALF_LEVEL, REGION
from studies.formulas.learning_rate_batch.optima import GridOptimum
from studies.formulas.verdicts import LEVEL, Ground, coefficient, position

Floats = NDArray[np.float64]
WINDOWS = ((-4.0, -2.0), (-3.0, -1.0), (-2.0, 0.0), (-1.0, 1.0), (0.0, 2.0), (1.0, 3.0), (2.0, 4.0))
"""Ends in doublings from the best batch (assumed: two doublings are wide enough for a slope)."""
BELOW, ABOVE = (-math.inf, 0.0), (0.5, math.inf)
"""Up to the best batch, and from half a doubling above it on (assumed: there the exponent changes)."""
MIN_CELLS = 4


def exponent_in(
    cells: Sequence[Cell],
    response: Floats,
    optima: Mapping[int, GridOptimum],
    window: tuple[float, float],
    level: float = LEVEL,
) -> tuple[Interval, int] | None:
    """R in one window with the number of its cells; None where they do not determine it."""
    rows = [
        (cell, log_rate)
        for cell, log_rate in zip(cells, response, strict=True)
        if cell.group in optima and window[0] - 0.05 <= _doublings(cell, optima[cell.group]) <= window[1] + 0.05
    ]
    if len(rows) < MIN_CELLS:
        return None
    groups = np.unique([cell.group for cell, _ in rows], return_inverse=True)[1].astype(np.intp)
    x = np.log([cell.batch_tokens for cell, _ in rows])[:, None]
    count = int(groups.max()) + 1
    if len(rows) < count + 2 or not determined(x, groups):
        return None
    problem = Problem(
        np.array([log_rate for _, log_rate in rows]),
        x,
        np.array([cell.profile.log_rate_variance for cell, _ in rows]),
        groups,
        JITTER_SCALE,
        SPREAD_SCALE if count >= MIN_SPREAD_GRIDS else 0.0,
    )
    return fit(problem).interval(np.array([0.0, 1.0]), level), len(rows)


def _doublings(cell: Cell, optimum: GridOptimum) -> float:
    return (math.log(cell.batch_tokens) - optimum.log_batch) / math.log(2)


def exponent_by_window(
    cells: Sequence[Cell], response: Floats, optima: Mapping[int, GridOptimum]
) -> list[dict[str, Any]]:
    """``from`` and ``to`` in doublings from the best batch, ``r``, ``low``, ``high`` and ``cells`` of each window."""
    rows: list[dict[str, Any]] = []
    for window in WINDOWS:
        found = exponent_in(cells, response, optima, window)
        if found is not None:
            interval, count = found
            ends = {"from": window[0], "to": window[1]}
            rows.append({**ends, "r": interval.estimate, "low": interval.low, "high": interval.high, "cells": count})
    return rows


def around_best_batch(
    cells: Sequence[Cell], response: Floats, optima: Mapping[int, GridOptimum], ground: Ground
) -> dict[str, Coefficient]:
    """``r_below_best_batch`` and ``r_above_best_batch`` against the paper's region, as far as they are determined.

    Each has the level of a half (Bonferroni): one that lies outside contradicts r = 0.5 everywhere.
    """
    inside = {group: found for group, found in optima.items() if found.edge == "none"}
    found = {
        name: exponent_in(cells, response, inside, window, HALF_LEVEL)
        for name, window in (("r_below_best_batch", BELOW), ("r_above_best_batch", ABOVE))
    }
    return {
        name: coefficient(each[0], "1", CLAIM, ground.verdict(position(each[0], REGION))).model_copy(
            update={"level": HALF_LEVEL}
        )
        for name, each in found.items()
        if each is not None
    }
