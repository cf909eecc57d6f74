"""The best rate at the best batch, lr* = c·(N / reference)^a·(D / reference)^b: variant ``rate_at_best_batch``.

The published exponents are a = -0.713 and b = 0.307, with N the non-embedding parameters (Step Law, arXiv 2503.04715,
equation 1; dense models, all 17 grids).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.formulas.evaluation import bounded_exp, evaluate
from studies.formulas.fitting.fit import Fit, covariance_evidence, determined, root_mean_square
from studies.formulas.fitting.mixed import MixedFit, MixedProblem, fit_mixed, mixture, solve_at
from studies.formulas.formula import Formula, latex_number
from studies.formulas.learning_rate_batch.joint_parts import (
    EXPONENTS,
    NO_CLAIM,
    Law,
    Request,
    build,
    exponential,
    parameter,
    reference_coefficients,
    size_terms,
)
from studies.formulas.learning_rate_batch.joint_table import LENGTH, JointTable, folds
from studies.formulas.learning_rate_batch.optima import BATCH_HALF_WIDTHS
from studies.formulas.verdicts import LEVEL

Floats = NDArray[np.float64]
VARIANT = "rate_at_best_batch"


@dataclass(frozen=True, slots=True)
class _Window:
    """Cells near each grid's best batch. The last two columns are x = ln(B / B*) and x²."""

    table: JointTable
    problem: MixedProblem
    fitted: MixedFit

    def rates_at_best_batch(self) -> dict[int, float]:
        """Measured ln lr* of each grid: its cells, moved to x = 0 along the common slope and bend."""
        bends = self.fitted.fit.mean()[-2:]
        level = self.problem.response - self.problem.columns[:, -2:] @ bends
        weights = 1 / (self.problem.variances + self.fitted.scales[0] ** 2)
        counts = np.bincount(self.problem.groups, weights)
        means = np.bincount(self.problem.groups, weights * level) / counts
        return {group: float(mean) for group, mean in zip(self.table.grid_ids, means, strict=True)}

    def predicted_without(self, groups: list[int]) -> dict[int, float]:
        """Ln lr* of grids that are left out, by the law of the others."""
        kept = np.array([cell.group not in groups for cell in self.table.cells])
        means, _ = solve_at(self.problem.only(kept), self.fitted.scales)
        columns = self.table.grid_columns(self.table.varied, groups)
        return dict(zip(groups, map(float, means[0] + columns @ means[1:-2]), strict=True))


@dataclass(frozen=True, slots=True)
class RateAtBestBatch:
    """ln lr* over N and D. Parameters: ln c, then a and b, as far as N and D vary."""

    fit: Fit
    """Averaged over windows around the best batch, so that their disagreement is part of the interval."""
    windows: tuple[_Window, ...]

    def measured(self) -> dict[int, float]:
        """Ln lr* of each grid, averaged over windows."""
        found = [window.rates_at_best_batch() for window in self.windows]
        groups = sorted(set.intersection(*(set(own) for own in found)))
        return {group: float(np.mean([own[group] for own in found])) for group in groups}

    def held_out_errors(self) -> dict[int, float]:
        """Of ln lr* of each grid, by the law of the others."""
        measured = self.measured()
        errors: dict[int, float] = {}
        for groups in folds(list(measured)):
            predicted = [window.predicted_without(groups) for window in self.windows]
            errors |= {group: measured[group] - float(np.mean([own[group] for own in predicted])) for group in groups}
        return errors


def fit_rate_at_best_batch(table: JointTable) -> RateAtBestBatch | None:
    """Fit the law; None where the grids with a best batch are too few for it."""
    windows = []
    for half_width in BATCH_HALF_WIDTHS:
        found = _near_best_batch(table, half_width)
        if found is not None:
            windows.append(_Window(*found, fit_mixed(found[1])))
    if not windows:
        return None
    size = 1 + len(table.varied)
    fitted = mixture([window.fitted.fit for window in windows], [1.0] * len(windows))
    return RateAtBestBatch(fitted.first(size).with_level_error(table.shift_error), tuple(windows))


def _near_best_batch(table: JointTable, half_width: float) -> tuple[JointTable, MixedProblem] | None:
    """Cells in a window around each grid's best batch; None where they do not determine the law."""
    optima = {group: found for group, found in table.optima.items() if found.edge == "none"}
    distance = np.array(
        [
            math.log(cell.batch_tokens) - optima[cell.group].log_batch if cell.group in optima else math.inf
            for cell in table.cells
        ]
    )
    inside = np.abs(distance) <= half_width + 1e-3
    near, x = table.only(inside), distance[inside]
    if len(near.grid_ids) < len(table.varied) + 2:
        return None
    slope = _common_slope(near.response, x, near.groups)
    errors = np.array([slope**2 * optima[group].variance for group in near.grid_ids])
    problem = near.rates(np.column_stack([near.cell_columns(table.varied), x, x**2]), x, errors)
    return (near, problem) if is_determined(problem, near, len(table.varied)) else None


def _common_slope(response: Floats, x: Floats, groups: NDArray[np.intp]) -> float:
    """Slope within groups."""
    counts = np.bincount(groups)
    centred, y = (values - (np.bincount(groups, values) / counts)[groups] for values in (x, response))
    return float(centred @ y / max(float(centred @ centred), 1e-12))


def is_determined(problem: MixedProblem, table: JointTable, between: int) -> bool:
    """Whether the slopes, and with a degree of freedom to spare the ``between`` ones of N and D, can be told apart."""
    whole = np.zeros(len(problem.response), dtype=np.intp)
    return len(table.grid_ids) >= between + 2 and determined(problem.columns, whole)


def build_formula(request: Request, table: JointTable, law: RateAtBestBatch) -> Formula:
    """The law with its points: measured over predicted."""
    errors = law.held_out_errors()
    cells = {(cell.group, cell.batch_tokens): cell.runs for window in law.windows for cell in window.table.cells}
    formula = build(
        request,
        VARIANT,
        _law(table, law.fit),
        {},
        size_name=table.size_name,
        observations=sum(cells.values()),
        held_out=(root_mean_square(np.array(list(errors.values()))), "log learning rate"),
        reasons=(NO_CLAIM, "it holds at the best batch of each size and length only (see best_batch)"),
    )
    return formula.model_copy(update={"evidence": _evidence(formula, table, law, errors)})


def _law(table: JointTable, fitted: Fit) -> Law:
    level, *slopes = fitted.mean()
    terms = size_terms(table, dict(zip(table.varied, slopes, strict=True)))
    exponents = {EXPONENTS[name]: parameter(fitted, place + 1) for place, name in enumerate(table.varied)}
    return Law(
        "power",
        "c" + terms.expression,
        f"lr* = {bounded_exp(level):.3g}{terms.statement} at B*",
        rf"\eta^{{*}} = {latex_number(bounded_exp(level))}{terms.latex}",
        {"c": exponential(fitted, 0, "learning rate"), **exponents, **reference_coefficients(table, table.varied)},
    )


def _evidence(formula: Formula, table: JointTable, law: RateAtBestBatch, errors: dict[int, float]) -> dict[str, Any]:
    names = ("c", *(EXPONENTS[name] for name in table.varied))
    covariance = covariance_evidence(law.fit, names, LEVEL, logs=("c",), logarithmic=True)
    judged = formula.model_copy(update={"evidence": {"covariance": covariance}})
    points, curve = [], []
    for group, log_rate in law.measured().items():
        sizes = {name: table.values[name][group] for name in (table.size_name, LENGTH)}
        at = evaluate(judged, {name: sizes[name] for name in table.varied})
        points.append(
            {
                "group": group,
                **sizes,
                "predicted_learning_rate": at.estimate,
                "learning_rate": bounded_exp(log_rate),
                "held_out_error": errors[group],
            }
        )
        curve.append(
            {"predicted_learning_rate": at.estimate, "learning_rate": at.estimate, "low": at.low, "high": at.high}
        )
    return {
        "points": points,
        "curve": sorted(curve, key=lambda row: row["predicted_learning_rate"]),
        "axes": ["predicted_learning_rate", "learning_rate"],
        "residuals": [math.log(row["learning_rate"] / row["predicted_learning_rate"]) for row in points],
        "covariance": covariance,
        "jitter": law.fit.jitter,
    }
