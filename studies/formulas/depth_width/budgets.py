"""What is equal between architectures, or can be made so by conditioning: the budget of a contrast."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.formulas.depth_width.architectures import AMOUNTS, Architecture
from studies.formulas.depth_width.forms import build_design
from studies.formulas.fitting.budget import are_equal

Floats = NDArray[np.float64]
MIN_OWN_SHARE = 0.1
"""Share of the variance of log size that depth, FFN ratio and covariates must leave unexplained for its effect to be
told from theirs: a variance inflation factor of at most 10 (the usual limit: Marquardt 1970, Technometrics 12(3))."""
MIN_FREEDOM = 3
"""Residual degrees of freedom of the parabola (assumed)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How one count or amount is held equal."""

    convention: str
    conditioned: bool
    """False: it is equal between the architectures; True: it is a covariate, and the law is that at its reference."""
    rows: tuple[Architecture, ...]
    """The architectures that report it."""
    problem: str | None
    """Why depth cannot be told from it; None if it can."""


def find_budget(rows: Sequence[Architecture], convention: str) -> Budget:
    """Whether a count or amount is equal between architectures, or spreads independently of their depths."""
    known = tuple(row for row in rows if convention in row.sizes)
    if not known:
        return Budget(convention, False, tuple(rows), f"{convention} is not reported")
    sizes = [row.sizes[convention] for row in known]
    if are_equal(sizes):
        return Budget(convention, False, known, None)
    if _is_independent(known, convention):
        return Budget(convention, True, known, None)
    span = f"{convention} runs from {min(sizes):.4g} to {max(sizes):.4g}"
    return Budget(convention, False, known, f"{span} along with depth")


def principal_budget(rows: Sequence[Architecture]) -> Budget:
    """The first count or amount that is equal, the total of parameters before others; else the first to condition on.

    Where there is neither, the budget of the total, with the problem of each.
    """
    found = [find_budget(rows, convention) for convention in AMOUNTS]
    usable = [budget for budget in found if budget.problem is None]
    if usable:
        return min(usable, key=lambda budget: budget.conditioned)
    problems = "; ".join(budget.problem for budget in found if budget.problem)
    remedy = "repeat the design with constraints.total_parameters, so that every architecture has the same size"
    reason = f"the budget is not equal ({problems}), so that depth is mixed up with size: {remedy}"
    return Budget(AMOUNTS[0], False, tuple(rows), reason)


def _is_independent(rows: Sequence[Architecture], convention: str) -> bool:
    """Whether log size, and its product with depth, keep variance of their own beside all other columns."""
    design = build_design(rows, convention)
    columns = design.columns(2)
    if len(rows) - 1 - columns.shape[1] < MIN_FREEDOM:
        return False
    first = 2 + design.ratio.shape[1]
    return all(_own_share(columns, place) > MIN_OWN_SHARE for place in (first, first + 1))


def _own_share(columns: Floats, place: int) -> float:
    """Share of a column's variance that an intercept and the other columns do not explain."""
    column = columns[:, place] - columns[:, place].mean()
    others = np.column_stack([np.ones(len(columns)), np.delete(columns, place, axis=1)])
    residual = column - others @ np.linalg.lstsq(others, column, rcond=None)[0]
    total = float(column @ column)
    return float(residual @ residual) / total if total > 0 else 0.0
