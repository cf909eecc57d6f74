"""The law of the best rate over size, length and batch as a formula: variant ``joint_rate``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from studies.formulas.evaluation import bounded_exp, curve_points
from studies.formulas.expression import value_of
from studies.formulas.fitting.fit import covariance_evidence
from studies.formulas.formula import Coefficient, Formula, latex_number
from studies.formulas.learning_rate_batch.joint_parts import (
    CURVE_POINTS,
    EXPONENTS,
    NO_CLAIM,
    Law,
    Request,
    Terms,
    build,
    exponential,
    half_interval,
    parameter,
    reference_coefficients,
    size_terms,
)
from studies.formulas.learning_rate_batch.joint_rate import JointRate
from studies.formulas.learning_rate_batch.joint_table import LENGTH, JointTable
from studies.formulas.verdicts import LEVEL, coefficient

VARIANT = "joint_rate"
MAX_CURVES, POINTS_A_CURVE = 12, 13
"""Grids whose own curves are stored, so that a figure can draw them (assumed: more cannot be told apart)."""
NAMES: Mapping[str, tuple[str, ...]] = {
    "power": ("c", "r"),
    "broken_power": ("c", "r", "r_change"),
    "saturating": ("lr_max", "alpha"),
}
"""Coefficients of each form, before those of N and D."""
KNOTS: Mapping[str, str] = {"broken_power": "knot_batch_tokens", "saturating": "noise_batch_tokens"}
"""The last coefficient of a form with a knot, at the reference length."""


def build_formula(request: Request, table: JointTable, law: JointRate) -> Formula:
    """The law with its points, its curve at the reference size and length, and a curve for each grid."""
    formula = build(
        request,
        VARIANT,
        _law(table, law),
        _evidence(table, law),
        size_name=table.size_name,
        observations=sum(cell.runs for cell in table.cells),
        held_out=(law.rivals[law.form], "log learning rate"),
        reasons=(NO_CLAIM, *_remarks(table, law)),
    )
    curve = curve_points(formula, "batch_tokens", "learning_rate", CURVE_POINTS)
    evidence = {**formula.evidence, "curve": curve, "curves": _curves(formula, table)}
    return formula.model_copy(update={"evidence": evidence})


def _names(table: JointTable, law: JointRate) -> tuple[str, ...]:
    """Coefficients in the order of the fit's parameters."""
    knot = (KNOTS[law.form],) if law.form in KNOTS else ()
    return (*NAMES[law.form], *(EXPONENTS[name] for name in table.varied), *knot)


def _coefficients(table: JointTable, law: JointRate) -> dict[str, Coefficient]:
    names = _names(table, law)
    found = {name: parameter(law.fit, place) for place, name in enumerate(names)}
    found[names[0]] = exponential(law.fit, 0, "learning rate")
    if law.form in KNOTS:
        found[names[-1]] = exponential(law.fit, len(names) - 1, "tokens", table.references["batch_tokens"])
    if law.form == "broken_power":
        contrast = np.zeros(law.fit.means.shape[1])
        contrast[1:3] = 1
        found["r_high"] = coefficient(law.fit.interval(contrast, LEVEL))
    if law.best is not None:
        found["e"] = parameter(law.best.fit, 1)
    read = {*table.varied, *((LENGTH,) if law.best else ())}
    references = [name for name in table.references if name in read]
    reference_batch = () if law.form == "saturating" else ("batch_tokens",)
    return {**found, **reference_coefficients(table, (*references, *reference_batch))}


def _law(table: JointTable, law: JointRate) -> Law:
    mean = law.fit.mean()
    places = {name: len(NAMES[law.form]) + place for place, name in enumerate(table.varied)}
    sizes = size_terms(table, {name: float(mean[place]) for name, place in places.items()})
    growth = _growth(table, law)
    level, slope = bounded_exp(float(mean[0])), float(mean[1])
    front = Terms("", f"lr* = {level:.3g}{sizes.statement}", rf"\eta^{{*}} = {latex_number(level)}{sizes.latex}")
    knot = table.references["batch_tokens"] * bounded_exp(float(mean[-1]))
    if law.form == "saturating":
        expression = f"lr_max{sizes.expression} / (1 + noise_batch_tokens{growth.expression} / batch_tokens) ** alpha"
        statement = f"{front.statement}/(1 + {knot:.3g}{growth.statement}/B)^{slope:.2f}"
        latex = rf"{front.latex}\left(1 + \frac{{{latex_number(knot)}{growth.latex}}}{{B}}\right)^{{{-slope:.2f}}}"
        return Law(law.form, expression, statement, latex, _coefficients(table, law))
    reference = table.references["batch_tokens"]
    expression = f"c{sizes.expression} * (batch_tokens / (reference_batch_tokens{growth.expression})) ** r"
    statement = f"{front.statement}·(B/({reference:.3g}{growth.statement}))^{slope:.2f}"
    latex = front.latex + _batch_latex(reference, growth, slope)
    if law.form == "broken_power":
        change = float(mean[2])
        expression += f" * max(1, batch_tokens / (knot_batch_tokens{growth.expression})) ** r_change"
        statement += f"·max(1, B/({knot:.3g}{growth.statement}))^{change:.2f}"
        latex += rf"\max{_batch_latex(knot, growth, change, '1, ')}"
    return Law(law.form, expression, statement, latex, _coefficients(table, law))


def _growth(table: JointTable, law: JointRate) -> Terms:
    """By what the knot and the reference batch grow with the length."""
    if law.best is None:
        return Terms("", "", "")
    tokens = table.references[LENGTH]
    return Terms(
        " * (train_tokens / reference_train_tokens) ** e",
        f"·(D/{tokens:.2g})^{law.best.exponent:.2f}",
        rf"\left(\frac{{D}}{{{latex_number(tokens)}}}\right)^{{{law.best.exponent:.2f}}}",
    )


def _batch_latex(batch: float, growth: Terms, power: float, before: str = "") -> str:
    return rf"\left({before}\frac{{B}}{{{latex_number(batch)}{growth.latex}}}\right)^{{{power:.2f}}}"


def _remarks(table: JointTable, law: JointRate) -> list[str]:
    errors = ", ".join(f"{form} {error:.3f}" for form, error in sorted(law.rivals.items(), key=lambda pair: pair[1]))
    remarks = [f"the form has the smallest error on grids left out (log learning rate: {errors})"]
    if law.best is None and LENGTH in table.varied:
        remarks.append("the best batch is not known over the length, so that the law bends at one batch for all")
    fixed = [name for name in (table.size_name, LENGTH) if name not in table.varied]
    return remarks + [f"{name} is the same in all grids, so that the law holds there only" for name in fixed]


def _evidence(table: JointTable, law: JointRate) -> dict[str, Any]:
    points = [
        {
            "group": cell.group,
            table.size_name: table.values[table.size_name][cell.group],
            LENGTH: table.values[LENGTH][cell.group],
            "batch_tokens": cell.batch_tokens,
            "learning_rate": bounded_exp(float(log_rate)),
            "low": bounded_exp(float(log_rate) - half_interval(cell.profile.log_rate_variance)),
            "high": bounded_exp(float(log_rate) + half_interval(cell.profile.log_rate_variance)),
            "held_out_error": float(error),
            "edge": cell.profile.edge,
            "runs": cell.runs,
        }
        for cell, log_rate, error in zip(table.cells, table.response, law.errors, strict=True)
    ]
    return {
        "points": points,
        "axes": ["batch_tokens", "learning_rate"],
        "residuals": [float(error) for error in law.errors],
        "covariance": _covariance(table, law),
        "rivals": law.rivals,
        "jitter": law.fit.jitter,
        "spread_between_groups": law.fit.spread,
    }


def _covariance(table: JointTable, law: JointRate) -> dict[str, Any]:
    """That of the fit, and of e, whose error is taken as independent."""
    names = _names(table, law)
    logs = (names[0], *((KNOTS[law.form],) if law.form in KNOTS else ()))
    evidence = covariance_evidence(law.fit, names, LEVEL, logs=logs, logarithmic=True)
    if law.best is None:
        return evidence
    matrix = np.zeros((len(names) + 1, len(names) + 1))
    matrix[:-1, :-1] = evidence["matrix"]
    matrix[-1, -1] = law.best.fit.covariance()[1, 1]
    return {**evidence, "names": [*names, "e"], "matrix": matrix.tolist()}


def _curves(formula: Formula, table: JointTable) -> list[dict[str, Any]]:
    """The law along each grid's batches, without intervals; none where the grids are too many to draw."""
    groups = table.grid_ids
    if len(groups) > MAX_CURVES:
        return []
    constants = {name: value.estimate for name, value in formula.coefficients.items() if value.estimate is not None}
    return [_curve(formula.expression, constants, table, group) for group in groups]


def _curve(expression: str, constants: Mapping[str, float], table: JointTable, group: int) -> dict[str, Any]:
    batches = [cell.batch_tokens for cell in table.cells if cell.group == group]
    sizes = {name: table.values[name][group] for name in (table.size_name, LENGTH)}
    rows: Sequence[float] = np.geomspace(min(batches), max(batches), POINTS_A_CURVE).tolist()
    law = [
        {"batch_tokens": at, "learning_rate": value_of(expression, {**constants, **sizes, "batch_tokens": at})}
        for at in rows
    ]
    return {"group": group, **sizes, "rows": [row for row in law if math.isfinite(row["learning_rate"])]}
