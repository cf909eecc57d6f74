"""The best batch over the length, B* = c_batch·(D / reference)^e: variant ``best_batch``.

The published exponent is 0.571 (Step Law, arXiv 2503.04715, equation 1; dense models, all 17 grids).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.formulas.evaluation import bounded_exp, curve_points
from studies.formulas.fitting.censoring import select
from studies.formulas.fitting.fit import (
    Fit,
    Problem,
    covariance_evidence,
    determined,
    fit,
    predict,
    root_mean_square,
)
from studies.formulas.fitting.profiles import Profile
from studies.formulas.formula import Formula, latex_number
from studies.formulas.learning_rate_batch.joint_parts import (
    CURVE_POINTS,
    NO_CLAIM,
    Law,
    Request,
    build,
    exponential,
    half_interval,
    parameter,
    reference_coefficients,
)
from studies.formulas.learning_rate_batch.joint_table import LENGTH, JointTable, folds
from studies.formulas.learning_rate_batch.optima import GridOptimum
from studies.formulas.verdicts import LEVEL

Floats = NDArray[np.float64]
VARIANT = "best_batch"
EXPRESSION = "c_batch * (train_tokens / reference_train_tokens) ** e"
JITTER_SCALE = 0.5
"""Prior scale of the jitter of ln B* between grids (assumed; of 0.15, 0.3 and 0.5 the one that covers on planted
surfaces whose jitter is up to 0.3)."""
MIN_GRIDS = 3


@dataclass(frozen=True, slots=True)
class BestBatch:
    """ln(B* / reference) over ln(D / reference)."""

    problem: Problem
    groups: tuple[int, ...]
    """Grids whose best batch was fitted, and not only bounded, in the order of ``problem``."""
    fit: Fit

    @property
    def exponent(self) -> float:
        """E."""
        return float(self.fit.mean()[1])


def best_batch_problem(table: JointTable) -> tuple[Problem, tuple[int, ...]] | None:
    """Best batches to regress on the length; None where there are too few."""
    if LENGTH not in table.varied or not table.optima:
        return None
    optima = list(table.optima.values())
    reference = math.log(table.references["batch_tokens"])
    problem = Problem(
        np.array([found.log_batch for found in optima]) - reference,
        table.grid_columns((LENGTH,), [found.group for found in optima]),
        np.array([found.variance for found in optima]),
        np.zeros(len(optima), dtype=np.intp),
        JITTER_SCALE,
    )
    if len(optima) < MIN_GRIDS or not determined(problem.columns, problem.groups):
        return None
    selection = select(problem, [_bounds(found, reference) for found in optima])
    problem = problem.with_response(selection.response).only(selection.kept)
    groups = tuple(found.group for found, kept in zip(optima, selection.kept, strict=True) if kept)
    if len(groups) < MIN_GRIDS or not determined(problem.columns, problem.groups):
        return None
    return problem, groups


def _bounds(found: GridOptimum, reference: float) -> Profile:
    at, low, high = (end - reference for end in (found.log_batch, found.lowest, found.highest))
    return Profile(at, found.variance, 0.0, 0.0, found.edge, low, high)


def fit_best_batch(table: JointTable) -> BestBatch | None:
    """Fit B*(D); None where fewer than three grids show a best batch, or all of one length."""
    found = best_batch_problem(table)
    return None if found is None else BestBatch(*found, fit(found[0]))


def predict_best_batch(table: JointTable, left_out: Sequence[int], jitter: float) -> Floats | None:
    """ln(B* / reference) of the grids left out, by the law of the others, at a known jitter; shape (left out,)."""
    found = best_batch_problem(table.without(left_out))
    if found is None:
        return None
    problem, _ = found
    design = np.column_stack([np.ones(len(problem.response)), problem.columns])
    weighted = (design / (problem.variances + jitter**2)[:, None]).T
    solution = np.linalg.solve(weighted @ design, weighted @ problem.response)
    predicted: Floats = solution[0] + table.grid_columns((LENGTH,), left_out) @ solution[1:]
    return predicted


def _held_out_error(table: JointTable, best: BestBatch) -> float | None:
    """Root mean square over grids that were left out, of ln B*."""
    known = dict(zip(best.groups, best.problem.response, strict=True))
    errors: list[float] = []
    for groups in folds(best.groups):
        predicted = predict_best_batch(table, groups, best.fit.jitter)
        if predicted is None:
            return None
        errors += [known[group] - float(at) for group, at in zip(groups, predicted, strict=True)]
    return root_mean_square(np.array(errors))


def build_formula(request: Request, table: JointTable, best: BestBatch) -> Formula:
    """The law with its points and curve."""
    reference = table.references["batch_tokens"]
    formula = build(
        request,
        VARIANT,
        _law(table, best),
        _evidence(table, best),
        size_name=table.size_name,
        observations=sum(cell.runs for cell in table.cells if cell.group in best.groups),
        held_out=(_held_out_error(table, best), "log batch"),
        reasons=(NO_CLAIM, *_remarks(table, best, reference)),
    )
    curve = curve_points(formula, LENGTH, "batch_tokens", CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})


def _law(table: JointTable, best: BestBatch) -> Law:
    level = table.references["batch_tokens"] * bounded_exp(float(best.fit.mean()[0]))
    tokens = table.references[LENGTH]
    return Law(
        "power",
        EXPRESSION,
        f"B* = {level:.3g}·(D/{tokens:.2g})^{best.exponent:.2f}",
        rf"B^{{*}} = {latex_number(level)}\left(\frac{{D}}{{{latex_number(tokens)}}}\right)^{{{best.exponent:.2f}}}",
        {
            "c_batch": exponential(best.fit, 0, "tokens", table.references["batch_tokens"]),
            "e": parameter(best.fit, 1),
            **reference_coefficients(table, (LENGTH,)),
        },
    )


def _remarks(table: JointTable, best: BestBatch, reference: float) -> list[str]:
    bounded = sorted(set(table.optima) - set(best.groups))
    remarks = [f"{len(bounded)} of {len(table.optima)} grids only bound their best batch"] if bounded else []
    low, high = table.x.min(), table.x.max()
    at = best.problem.columns[:, 0] * best.exponent + best.fit.mean()[0]
    if at.min() < low or at.max() > high:
        batches = ", ".join(f"{reference * bounded_exp(float(end)):.3g}" for end in (at.min(), at.max()))
        remarks.append(f"the law's batches ({batches}) lie partly outside those tried")
    return remarks


def _evidence(table: JointTable, best: BestBatch) -> dict[str, Any]:
    runs = {group: sum(cell.runs for cell in table.cells if cell.group == group) for group in table.optima}
    points = [
        {
            "group": group,
            table.size_name: table.values[table.size_name][group],
            LENGTH: table.values[LENGTH][group],
            "batch_tokens": bounded_exp(found.log_batch),
            "low": bounded_exp(found.log_batch - half_interval(found.variance)),
            "high": bounded_exp(found.log_batch + half_interval(found.variance)),
            "edge": found.edge,
            "used": group in best.groups,
            "runs": runs[group],
        }
        for group, found in table.optima.items()
    ]
    residuals = best.problem.response - predict(best.fit, best.problem)
    return {
        "points": points,
        "axes": [LENGTH, "batch_tokens"],
        "residuals": [float(residual) for residual in residuals],
        "covariance": covariance_evidence(best.fit, ("c_batch", "e"), LEVEL, logs=("c_batch",), logarithmic=True),
        "jitter": best.fit.jitter,
    }
