"""One contrast along a budget: the objective over depth, the width following, and over the FFN ratio at a fixed depth.

The principal law is at equal parameters; the same contrast is repeated at equal non-embedding parameters and training
FLOPs. Where the amount is not equal but spreads independently of depth, it is a covariate (its logarithm, the square,
and the product with log depth), and the law is that at its mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.formulas.depth_width import supply
from studies.formulas.depth_width.architectures import Architecture, Architectures
from studies.formulas.depth_width.budgets import MIN_FREEDOM, Budget
from studies.formulas.depth_width.claims import (
    KIND,
    LOSS_METRICS,
    MIRRORED,
    PAPER_DOMAIN,
    RATIO_REGION,
    deeper_is_better,
)
from studies.formulas.depth_width.forms import DepthAnalysis, analyse, build_design, build_problem
from studies.formulas.depth_width.judgement import Judgement, judge, optimum_words, remarks
from studies.formulas.evaluation import curve_points
from studies.formulas.fitting.fit import Interval, covariance_evidence, determined, predict
from studies.formulas.fitting.shapes import spearman
from studies.formulas.formula import Coefficient, Formula, PaperClaim, Verdict
from studies.formulas.observations import FitContext, Observation
from studies.formulas.verdicts import LEVEL, Ground, coefficient, constant, missing_trials, overlaps, position

Floats = NDArray[np.float64]
MIN_DEPTHS = 4
CURVE_POINTS = 25
FACTORS: Mapping[str, str] = {
    "depth_slope": "log2(depth / reference_depth)",
    "depth_curvature": "log2(depth / reference_depth) ** 2",
    "ratio_effect": "log2(ffn_ratio / reference_ffn_ratio)",
    "size_effect": "log2({size} / reference_{size})",
    "size_depth": "log2({size} / reference_{size}) * log2(depth / reference_depth)",
    "size_curvature": "log2({size} / reference_{size}) ** 2",
}
"""What each coefficient multiplies in the formula's expression."""
AT_EQUAL: Mapping[str, str] = {
    "total_parameters": "an equal budget",
    "non_embedding_parameters": "equal non-embedding parameters",
    "train_flops": "equal training FLOPs",
}


@dataclass(frozen=True, slots=True)
class Contrast:
    """A contrast to be fitted."""

    observations: Sequence[Observation]
    context: FitContext
    found: Architectures
    """Those that report the budget's amount."""
    budget: Budget
    variant: str

    @property
    def words(self) -> str:
        """What is held equal, in words."""
        equal = AT_EQUAL[self.budget.convention]
        if not self.budget.conditioned:
            return f"at {equal}"
        return f"at {equal} (by conditioning on {self.budget.convention})"

    def analysis(self) -> DepthAnalysis | tuple[str, supply.Patch]:
        """Both forms fitted, or why they cannot be and what would allow it."""
        rows, budget = self.found.rows, self.budget
        if budget.problem is not None:
            wanted = len(rows) * runs_each(self.found)
            return budget.problem, supply.equal_budget(budget, supply.capped(wanted))
        missing = MIN_DEPTHS - len({row.depth for row in rows})
        if missing > 0:
            more = missing * runs_each(self.found)
            reason = (
                f"{MIN_DEPTHS - missing} usable depths cannot show a shape: add {missing} "
                f"({more} further trials at the rates already used)"
            )
            return reason, supply.depths(rows, True, True, len(self.observations) + more)
        design = build_design(rows, budget.convention if budget.conditioned else None)
        problem = build_problem(rows, design.columns(2))
        freedom = len(rows) - 1 - problem.columns.shape[1]
        if freedom >= MIN_FREEDOM and determined(problem.columns, problem.groups):
            return analyse(problem, design)
        more = max(MIN_FREEDOM - freedom, 1) * runs_each(self.found)
        beside = ", ".join(design.covariate_names) or ("size" if budget.conditioned else "the FFN ratio")
        reason = (
            f"{len(rows)} architectures cannot separate depth from {beside}: "
            f"add {max(MIN_FREEDOM - freedom, 1)} or more ({more} further trials)"
        )
        return reason, supply.more_trials(len(self.observations) + more)


def runs_each(found: Architectures) -> int:
    """Trials of one architecture in this study, at least three rates."""
    return max([3, *(row.runs for row in found.rows)])


def without_fit(contrast: Contrast, reason: str, patch: supply.Patch) -> Formula:
    """The law with its claim, no numbers, and what is missing."""
    context = contrast.context
    verdict = Ground(context, False).verdict("across")
    claim = deeper_is_better(context)
    unknown = Coefficient(
        estimate=None, low=None, high=None, level=LEVEL, unit=context.metric, paper=claim, verdict=verdict
    )
    return Formula(
        id=context.formula_id(KIND, contrast.variant),
        revision=context.revision,
        kind=KIND,
        variant=contrast.variant,
        form="linear_log_depth",
        statement=f"{context.metric} over depth at {AT_EQUAL[contrast.budget.convention]}, not determined",
        latex=r"y = a + b\log_2 L",
        studies=context.studies,
        size_convention=contrast.budget.convention,
        observations=len(contrast.observations),
        domain=dict(contrast.found.domain),
        held_out_error=None,
        held_out_unit=context.metric,
        coefficients={"depth_effect": unknown},
        verdict=verdict,
        reasons=(reason,),
        supply=patch,
        evidence={
            "points": [point(row, context) for row in contrast.found.rows],
            "curve": [],
            "residuals": [],
            "shape": "undetermined",
            "axes": ["depth", context.metric],
        },
    )


def fitted(contrast: Contrast, analysis: DepthAnalysis) -> Formula:
    """The law of one contrast."""
    found, context = contrast.found, contrast.context
    domain = dict(contrast.found.domain)
    domain |= {"ffn_ratio": _ratio_range(found)} if analysis.design.reference_ratio else {}
    ground = Ground(context, overlaps(domain, PAPER_DOMAIN))
    trend = oriented(analysis.linear.interval(unit_vector(analysis.linear.means.shape[1], 1), LEVEL), context)
    judgement = judge(found, analysis, trend, context, ground)
    formula = Formula(
        id=context.formula_id(KIND, contrast.variant),
        revision=context.revision,
        kind=KIND,
        variant=contrast.variant,
        form=analysis.form,
        expression=_expression(contrast, analysis),
        statement=_statement(contrast, analysis, trend),
        latex=_latex(contrast, analysis),
        studies=context.studies,
        size_convention=contrast.budget.convention,
        observations=sum(row.runs for row in found.rows),
        domain=domain,
        held_out_error=analysis.rivals[analysis.form],
        held_out_unit=context.metric,
        coefficients=_coefficients(contrast, analysis, trend, judgement.trend, ground),
        verdict=judgement.law,
        reasons=(*judgement.reasons, *_beyond(analysis), *remarks(found)),
        supply=_supply(contrast, analysis, trend, judgement),
        evidence=_evidence(contrast, analysis),
    )
    curve = curve_points(formula, "depth", context.metric, CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})


def unit_vector(size: int, index: int) -> Floats:
    """The contrast that picks one parameter."""
    contrast = np.zeros(size)
    contrast[index] = 1
    return contrast


def oriented(interval: Interval, context: FitContext) -> Interval:
    """From cost to objective: reversed where the objective is maximised."""
    if context.direction == "minimize":
        return interval
    return Interval(-interval.estimate, -interval.high, -interval.low)


def _ratio_range(found: Architectures) -> tuple[float, float]:
    ratios = [row.ffn_ratio for row in found.rows if row.ffn_ratio]
    return min(ratios), max(ratios)


def _supply(contrast: Contrast, analysis: DepthAnalysis, trend: Interval, judgement: Judgement) -> supply.Patch | None:
    """Rates, trials or depths that would decide what is undetermined or lies beyond the depths tried."""
    if (patch := supply.rates(contrast.found)) is not None:
        return patch
    trials = len(contrast.observations)
    if judgement.law == "undetermined" and analysis.shape != "U":
        more = missing_trials(trend, deeper_is_better(contrast.context).region, trials)
        return supply.more_trials(trials + (100 * trials if more is None else more))
    low, high = analysis.best.low is None, analysis.best.high is None
    if low or high:
        return supply.depths(contrast.found.rows, low, high, trials)
    return None


def _beyond(analysis: DepthAnalysis) -> tuple[str, ...]:
    """What an open end of the best depth's interval means."""
    best, reference = analysis.best, analysis.design.reference_depth
    sides = {"deeper": best.high, "shallower": best.low}
    open_sides = [side for side, end in sides.items() if end is None]
    if len(open_sides) == 2:
        return ("the best depth is not located: both ends of its interval are open",)
    if not open_sides:
        return ()
    words = optimum_words(best, reference)
    tried = float(analysis.design.u.max() if open_sides[0] == "deeper" else analysis.design.u.min())
    return (
        f"the best depth is {words}: its interval is one-sided, since no network {open_sides[0]} than "
        f"{reference * 2**tried:.3g} layers was tried that would bound it",
    )


def _statement(contrast: Contrast, analysis: DepthAnalysis, trend: Interval) -> str:
    context = contrast.context
    best = optimum_words(analysis.best, analysis.design.reference_depth)
    if analysis.shape == "U":
        return f"{context.metric} is a U over depth {contrast.words}: best depth {best}"
    words = {"monotone decreasing": -context.sign, "monotone increasing": context.sign}
    sign = words.get(analysis.shape)
    change = f"{trend.estimate:+.3g} per doubling of depth {contrast.words}"
    located = f"; best depth {best}" if best else ""
    if sign is None:
        return f"{context.metric} {change}, shape undetermined{located}"
    return f"{context.metric} {'rises' if sign > 0 else 'falls'} with depth: {change}{located}"


def _expression(contrast: Contrast, analysis: DepthAnalysis) -> str:
    size = contrast.budget.convention
    return "level + " + " + ".join(f"{name} * {FACTORS[name].format(size=size)}" for name in analysis.terms[1:])


def _latex(contrast: Contrast, analysis: DepthAnalysis) -> str:
    values = contrast.context.sign * analysis.fit.mean()
    depth = rf"\log_2\frac{{L}}{{{analysis.design.reference_depth:.0f}}}"
    size = r"\log_2\frac{C}{C_0}" if contrast.budget.convention == "train_flops" else r"\log_2\frac{N}{N_0}"
    terms = {
        "depth_slope": depth,
        "depth_curvature": rf"\left({depth}\right)^2",
        "ratio_effect": r"\log_2\frac{\rho}{\rho_0}",
        "size_effect": size,
        "size_depth": rf"\left({size}\right)\left({depth}\right)",
        "size_curvature": rf"\left({size}\right)^2",
    }
    parts = [rf"{value:+.3g}\,{terms[name]}" for name, value in zip(analysis.terms[1:], values[1:], strict=False)]
    return f"y = {values[0]:.4g} " + " ".join(parts)


def _coefficients(
    contrast: Contrast, analysis: DepthAnalysis, trend: Interval, verdict: Verdict, ground: Ground
) -> dict[str, Coefficient]:
    fit, design, context = analysis.fit, analysis.design, contrast.context
    unit = context.metric
    intervals = {
        name: oriented(fit.interval(unit_vector(fit.means.shape[1], index), LEVEL), context)
        for index, name in enumerate(analysis.terms)
    }
    coefficients = {name: coefficient(interval, unit) for name, interval in intervals.items()}
    if "ratio_effect" in intervals:
        coefficients["reference_ffn_ratio"] = constant(float(design.reference_ratio or 1.0))
    if "ratio_effect" in intervals and unit in LOSS_METRICS:
        claim = PaperClaim(formula="F2", region=RATIO_REGION, test="value")
        where = position(intervals["ratio_effect"], RATIO_REGION) if contrast.found.profiled else "across"
        coefficients["ratio_effect"] = coefficient(intervals["ratio_effect"], unit, claim, ground.verdict(where))
    if design.reference_size is not None:
        coefficients[f"reference_{contrast.budget.convention}"] = constant(design.reference_size)
    best = [
        None if at is None else design.reference_depth * 2**at
        for at in (analysis.best.estimate, analysis.best.low, analysis.best.high)
    ]
    return {
        "depth_effect": coefficient(trend, f"{unit} per doubling", deeper_is_better(context), verdict),
        "best_depth": Coefficient(estimate=best[0], low=best[1], high=best[2], level=LEVEL, unit="layers"),
        "reference_depth": constant(design.reference_depth, "layers"),
        **coefficients,
        **({} if design.reference_size else _rank_correlations(contrast.found)),
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


def point(row: Architecture, context: FitContext) -> dict[str, Any]:
    """An architecture as evidence."""
    return {
        "depth": row.depth,
        "width": row.width,
        "ffn_ratio": row.ffn_ratio,
        "parameters": row.parameters,
        **row.sizes,
        context.metric: context.sign * row.cost,
        "error": math.sqrt(row.variance),
        "learning_rate": None if row.log_rate is None else math.exp(row.log_rate),
        "edge": row.edge,
        "runs": row.runs,
    }


def _evidence(contrast: Contrast, analysis: DepthAnalysis) -> dict[str, Any]:
    found, context = contrast.found, contrast.context
    residuals = context.sign * (analysis.problem.response - predict(analysis.fit, analysis.problem))
    return {
        "points": [point(row, context) for row in found.rows],
        "axes": ["depth", context.metric],
        "residuals": [float(residual) for residual in residuals],
        "covariance": covariance_evidence(analysis.fit, analysis.terms, LEVEL),
        "rivals": analysis.rivals,
        "shape": analysis.shape if context.direction == "minimize" else MIRRORED[analysis.shape],
        "covariates": list(analysis.design.covariate_names),
        "conditioned": contrast.budget.conditioned,
        "jitter": analysis.fit.jitter,
        "profiled": found.profiled,
        "run_noise": found.noise,
    }
