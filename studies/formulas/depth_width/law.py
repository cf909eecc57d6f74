"""The depth x width law at an equal budget of parameters (paper F2: depth is primary, deeper is better up to a knee).

At a fixed budget and vocabulary, depth, width and FFN ratio are tied together. Two contrasts along the budget remain:
depth at a fixed ratio (the width follows) and ratio at a fixed depth (against the width). Each architecture counts
with the objective at its own best learning rate (``architectures``); the other parameters are covariates.

Coefficients, in units of the objective: ``depth_effect`` linear trend per doubling of depth; ``level``,
``depth_slope``, ``depth_curvature`` (per doubling and per doubling squared, about ``reference_depth``) and
``ratio_effect`` (per doubling of the FFN ratio) of the reported form; ``best_depth`` with a Fieller interval whose open
ends are None; ``spearman_depth``, ``spearman_width``, ``spearman_ffn_ratio`` with the score (better is higher), as in
the paper. ``best_depth`` carries no claim: the paper's knee of 20 layers weighs score against speed at 1B parameters.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from studies.formulas.depth_width.architectures import Architecture, Architectures, build_architectures
from studies.formulas.depth_width.forms import DepthAnalysis, analyse, build_design, build_problem
from studies.formulas.evaluation import curve_points
from studies.formulas.fitting.budget import BudgetCheck, check_budget
from studies.formulas.fitting.fit import Interval, covariance_evidence, determined, predict
from studies.formulas.fitting.shapes import Shape, spearman
from studies.formulas.formula import Coefficient, Formula, PaperClaim, Verdict
from studies.formulas.observations import FitContext, Observation, ranges
from studies.formulas.verdicts import LEVEL, Domain, Ground, coefficient, constant, further_trials, overlaps, position

Floats = NDArray[np.float64]
KIND: Final = "depth_width"
PAPER_DOMAIN: Domain = {
    "depth": (9, 40),
    "width": (1280, 2560),
    "ffn_ratio": (1.0, 4.0),
    "total_parameters": (0.5e9, 2e9),
}
"""The paper's sampled ranges (F2); about 1B parameters, read as 0.5B to 2B (assumed)."""
RATIO_REGION = (-0.02, 0.02)
"""A doubling of the FFN ratio that changes the loss by no more than this has about no effect (assumed: two to four
standard deviations between seeds at 1M parameters). The paper has a rank correlation of about 0."""
LOSS_METRICS = frozenset({"bits_per_byte", "validation_loss"})
DOMAIN_COLUMNS = (
    "depth",
    "width",
    "ffn_ratio",
    "vocabulary_size",
    "batch_tokens",
    "total_parameters",
    "non_embedding_parameters",
    "train_tokens",
    "train_bytes",
)
MIN_DEPTHS = 4
MIN_FREEDOM = 3
"""Residual degrees of freedom of the parabola (assumed)."""
MAX_EDGE_SHARE = 0.25
"""Share of profiles at the edge of the rates beyond which no verdict is given (assumed)."""
CURVE_POINTS = 25
FACTORS: Mapping[str, str] = {
    "depth_slope": "log2(depth / reference_depth)",
    "depth_curvature": "log2(depth / reference_depth) ** 2",
    "ratio_effect": "log2(ffn_ratio / reference_ffn_ratio)",
}
"""What each coefficient multiplies in the formula's expression."""
MIRRORED: Mapping[Shape, str] = {
    "U": "inverted U",
    "monotone decreasing": "monotone increasing",
    "monotone increasing": "monotone decreasing",
    "undetermined": "undetermined",
}
"""Shape of a maximised objective by that of its cost."""


def fit_depth_width(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Fit the law.

    Returns:
        None where depth did not vary: the law does not apply.
    """
    if len({row.number_of("depth") for row in observations} - {None}) < 2:
        return ()
    budget = check_budget(observations)
    found = build_architectures(observations, context)
    reason = budget.problem or _too_few(found)
    if reason is not None:
        return (_without_fit(observations, context, found, budget, reason),)
    design = build_design(found.rows)
    problem = build_problem(found.rows, design.columns(2))
    freedom = len(found.rows) - 1 - design.columns(2).shape[1]
    if freedom < MIN_FREEDOM or not determined(problem.columns, problem.groups):
        more = max(MIN_FREEDOM - freedom, 1)
        reason = (
            f"{len(found.rows)} architectures cannot separate depth from "
            f"{', '.join(design.covariate_names) or 'the FFN ratio'}: "
            f"add {more} or more ({more * _runs_each(found)} further trials)"
        )
        return (_without_fit(observations, context, found, budget, reason),)
    return (_formula(observations, context, found, budget, analyse(problem, design)),)


def _too_few(found: Architectures) -> str | None:
    missing = MIN_DEPTHS - len({row.depth for row in found.rows})
    if missing <= 0:
        return None
    return (
        f"{MIN_DEPTHS - missing} usable depths cannot show a shape: add {missing} "
        f"({missing * _runs_each(found)} further trials at the rates already used)"
    )


def _runs_each(found: Architectures) -> int:
    """Trials of one architecture in this study, at least three rates."""
    return max([3, *(row.runs for row in found.rows)])


def _claim(context: FitContext) -> PaperClaim:
    """Deeper is better (paper, F2: Spearman of depth and score +0.528)."""
    region = (None, 0.0) if context.direction == "minimize" else (0.0, None)
    return PaperClaim(formula="F2", region=region, test="sign")


def _without_fit(
    observations: Sequence[Observation], context: FitContext, found: Architectures, budget: BudgetCheck, reason: str
) -> Formula:
    """The law with its claim, no numbers, and what is missing."""
    domain = ranges(observations, DOMAIN_COLUMNS)
    verdict = Ground(context, False).verdict("across")
    claim = _claim(context)
    unknown = Coefficient(
        estimate=None, low=None, high=None, level=LEVEL, unit=context.metric, paper=claim, verdict=verdict
    )
    return Formula(
        id=context.formula_id(KIND),
        revision=context.revision,
        kind=KIND,
        form="linear_log_depth",
        statement=f"{context.metric} over depth at an equal budget, not determined",
        latex=r"y = a + b\log_2 L",
        studies=context.studies,
        size_convention=budget.convention,
        observations=len(observations),
        domain=domain,
        held_out_error=None,
        held_out_unit=context.metric,
        coefficients={"depth_effect": unknown},
        verdict=verdict,
        reasons=(reason,),
        evidence={
            "points": [_point(row, context) for row in found.rows],
            "curve": [],
            "residuals": [],
            "shape": "undetermined",
            "axes": ["depth", context.metric],
        },
    )


def _formula(
    observations: Sequence[Observation],
    context: FitContext,
    found: Architectures,
    budget: BudgetCheck,
    analysis: DepthAnalysis,
) -> Formula:
    domain = ranges(observations, DOMAIN_COLUMNS)
    domain |= {"ffn_ratio": _ratio_range(found)} if analysis.design.reference_ratio else {}
    ground = Ground(context, overlaps(domain, PAPER_DOMAIN))
    trend = _oriented(analysis.linear.interval(_unit(analysis.linear.means.shape[1], 1), LEVEL), context)
    judgement = _judge(found, analysis, trend, context, ground)
    formula = Formula(
        id=context.formula_id(KIND),
        revision=context.revision,
        kind=KIND,
        form=analysis.form,
        expression=_expression(analysis),
        statement=_statement(analysis, trend, context),
        latex=_latex(analysis, context),
        studies=context.studies,
        size_convention=budget.convention,
        observations=sum(row.runs for row in found.rows),
        domain=domain,
        held_out_error=analysis.rivals[analysis.form],
        held_out_unit=context.metric,
        coefficients=_coefficients(found, analysis, context, trend, judgement.trend, ground),
        verdict=judgement.law,
        reasons=(*judgement.reasons, *_remarks(found)),
        evidence=_evidence(found, analysis, context),
    )
    curve = curve_points(formula, "depth", context.metric, CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})


def _unit(size: int, index: int) -> Floats:
    contrast = np.zeros(size)
    contrast[index] = 1
    return contrast


def _oriented(interval: Interval, context: FitContext) -> Interval:
    """From cost to objective: reversed where the objective is maximised."""
    if context.direction == "minimize":
        return interval
    return Interval(-interval.estimate, -interval.high, -interval.low)


def _ratio_range(found: Architectures) -> tuple[float, float]:
    ratios = [row.ffn_ratio for row in found.rows if row.ffn_ratio]
    return min(ratios), max(ratios)


@dataclass(frozen=True, slots=True)
class _Judgement:
    law: Verdict
    trend: Verdict
    reasons: tuple[str, ...]


def _judge(
    found: Architectures, analysis: DepthAnalysis, trend: Interval, context: FitContext, ground: Ground
) -> _Judgement:
    """The verdict on "deeper is better".

    A certified U contradicts it beyond the best depth, but not at the paper's own scale, where the paper has a knee
    itself; the sign of a trend over a U depends on the depths sampled, so that the trend carries none.
    """
    undetermined = ground.verdict("across")
    if obstacles := _obstacles(found):
        return _Judgement(undetermined, undetermined, obstacles)
    if analysis.shape != "U":
        verdict = ground.verdict(position(trend, _claim(context).region))
        return _Judgement(verdict, verdict, _trend_reasons(trend, context, found))
    verdict = undetermined if ground.in_paper_domain else ground.verdict("outside")
    reason = f"the relation to depth is a U, best at {analysis.best_depth()}: deeper is better only up to there"
    return _Judgement(verdict, undetermined, (reason,))


def _obstacles(found: Architectures) -> tuple[str, ...]:
    """Why no verdict can be given whatever the interval."""
    edges = sum(row.edge != "none" for row in found.rows)
    sides = " and ".join(sorted({row.edge for row in found.rows} - {"none"}))
    obstacles = {
        "learning rates were not profiled (fewer than 3 usable rates for most architectures), so that rates are "
        "compared along with shapes: train every architecture at 3 rates or more "
        f"({3 * len(found.rows)} trials)": not found.profiled,
        f"the best rate lies at the {sides} edge of the tried rates in {edges} of {len(found.rows)} architectures: "
        f"extend the rates there ({2 * edges} further trials)": edges > MAX_EDGE_SHARE * len(found.rows),
    }
    return tuple(reason for reason, applies in obstacles.items() if applies)


def _trend_reasons(trend: Interval, context: FitContext, found: Architectures) -> tuple[str, ...]:
    region = _claim(context).region
    said = (
        f"{context.metric} changes by {trend.estimate:.3g} per doubling of depth ({trend.low:.3g} to {trend.high:.3g})"
    )
    if position(trend, region) != "across":
        return (said,)
    return (said, further_trials(trend, region, sum(row.runs for row in found.rows)))


def _remarks(found: Architectures) -> tuple[str, ...]:
    edges = sum(row.edge != "none" for row in found.rows)
    remarks = {
        f"{edges} profiles end at the edge of the tried rates: their values are upper bounds of the cost": edges,
        f"{found.left_out} architectures without a usable profile were left out": found.left_out,
        f"{found.diverged} failed or diverged runs were not fitted": found.diverged,
    }
    return tuple(remark for remark, applies in remarks.items() if applies)


def _statement(analysis: DepthAnalysis, trend: Interval, context: FitContext) -> str:
    if analysis.shape == "U":
        return f"{context.metric} is a U over depth at an equal budget: best depth {analysis.best_depth()}"
    words = {"monotone decreasing": -context.sign, "monotone increasing": context.sign}
    sign = words.get(analysis.shape)
    change = f"{trend.estimate:+.3g} per doubling of depth at an equal budget"
    if sign is None:
        return f"{context.metric} {change}, shape undetermined"
    return f"{context.metric} {'rises' if sign > 0 else 'falls'} with depth: {change}"


def _expression(analysis: DepthAnalysis) -> str:
    return "level + " + " + ".join(f"{name} * {FACTORS[name]}" for name in analysis.terms[1:])


def _latex(analysis: DepthAnalysis, context: FitContext) -> str:
    values = context.sign * analysis.fit.mean()
    depth = rf"\log_2\frac{{L}}{{{analysis.design.reference_depth:.0f}}}"
    terms = {
        "depth_slope": depth,
        "depth_curvature": rf"\left({depth}\right)^2",
        "ratio_effect": r"\log_2\frac{\rho}{\rho_0}",
    }
    parts = [rf"{value:+.3g}\,{terms[name]}" for name, value in zip(analysis.terms[1:], values[1:], strict=False)]
    return f"y = {values[0]:.4g} " + " ".join(parts)


def _coefficients(
    found: Architectures,
    analysis: DepthAnalysis,
    context: FitContext,
    trend: Interval,
    verdict: Verdict,
    ground: Ground,
) -> dict[str, Coefficient]:
    fitted, design = analysis.fit, analysis.design
    unit = context.metric
    size = fitted.means.shape[1]
    intervals = {
        name: _oriented(fitted.interval(_unit(size, index), LEVEL), context)
        for index, name in enumerate(analysis.terms)
    }
    coefficients = {name: coefficient(interval, unit) for name, interval in intervals.items()}
    if "ratio_effect" in intervals:
        coefficients["reference_ffn_ratio"] = constant(float(design.reference_ratio or 1.0))
    if "ratio_effect" in intervals and unit in LOSS_METRICS:
        claim = PaperClaim(formula="F2", region=RATIO_REGION, test="value")
        where = position(intervals["ratio_effect"], RATIO_REGION) if found.profiled else "across"
        coefficients["ratio_effect"] = coefficient(intervals["ratio_effect"], unit, claim, ground.verdict(where))
    best = [
        None if at is None else design.reference_depth * 2**at
        for at in (analysis.best.estimate, analysis.best.low, analysis.best.high)
    ]
    return {
        "depth_effect": coefficient(trend, f"{unit} per doubling", _claim(context), verdict),
        "best_depth": Coefficient(estimate=best[0], low=best[1], high=best[2], level=LEVEL, unit="layers"),
        "reference_depth": constant(design.reference_depth, "layers"),
        **coefficients,
        **_rank_correlations(found),
    }


def _rank_correlations(found: Architectures) -> dict[str, Coefficient]:
    """Spearman's rho of depth, width and ratio with the score, as in the paper; vocabularies are not held fixed."""
    score = np.array([-row.cost for row in found.rows])
    columns: dict[str, list[float] | list[float | None]] = {
        "spearman_depth": [row.depth for row in found.rows],
        "spearman_width": [row.width for row in found.rows],
        "spearman_ffn_ratio": [row.ffn_ratio for row in found.rows],
    }
    intervals = {
        name: spearman(np.array(values, dtype=np.float64), score, LEVEL)
        for name, values in columns.items()
        if not any(value is None for value in values)
    }
    return {name: coefficient(interval) for name, interval in intervals.items() if interval is not None}


def _point(row: Architecture, context: FitContext) -> dict[str, Any]:
    return {
        "depth": row.depth,
        "width": row.width,
        "ffn_ratio": row.ffn_ratio,
        "parameters": row.parameters,
        context.metric: context.sign * row.cost,
        "error": math.sqrt(row.variance),
        "learning_rate": None if row.log_rate is None else math.exp(row.log_rate),
        "edge": row.edge,
        "runs": row.runs,
    }


def _evidence(found: Architectures, analysis: DepthAnalysis, context: FitContext) -> dict[str, Any]:
    residuals = context.sign * (analysis.problem.response - predict(analysis.fit, analysis.problem))
    return {
        "points": [_point(row, context) for row in found.rows],
        "axes": ["depth", context.metric],
        "residuals": [float(residual) for residual in residuals],
        "covariance": covariance_evidence(analysis.fit, analysis.terms, LEVEL),
        "rivals": analysis.rivals,
        "shape": analysis.shape if context.direction == "minimize" else MIRRORED[analysis.shape],
        "covariates": list(analysis.design.covariate_names),
        "jitter": analysis.fit.jitter,
        "profiled": found.profiled,
        "run_noise": found.noise,
    }
