"""The depth at the knee of the front of cost against decode speed (paper F2: about 20 layers at 1B parameters).

Deeper networks of one size decode more slowly, so that the best depth and the one to take differ. The formula's
expression is the decode speed over depth; its coefficient ``knee_depth`` is where the front bends (``front``).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.pareto import is_on_front
from studies.formulas.depth_width import supply
from studies.formulas.depth_width.architectures import SPEED, Architecture
from studies.formulas.depth_width.claims import KIND, KNEE_REGION, PAPER_DOMAIN
from studies.formulas.depth_width.contrast import Contrast, point, unit_vector
from studies.formulas.depth_width.forms import JITTER_FACTOR, DepthAnalysis, Design, scatter
from studies.formulas.depth_width.front import FrontCurve, find_front
from studies.formulas.depth_width.judgement import obstacles, optimum_words, remarks
from studies.formulas.fitting.fit import (
    Fit,
    Interval,
    Problem,
    covariance_evidence,
    fit,
    held_out_errors,
    predict,
    root_mean_square,
)
from studies.formulas.fitting.shapes import Curve, Optimum
from studies.formulas.formula import Coefficient, Formula, PaperClaim, Verdict
from studies.formulas.observations import FitContext
from studies.formulas.verdicts import LEVEL, Ground, coefficient, constant, overlaps, position

Floats = NDArray[np.float64]
VARIANT = "knee"
CURVE_STEP = 5
"""Every how many places of the front's curve are stored."""
SPEED_TERMS = ("log_speed", "speed_slope", "speed_curvature")
SPEED_JITTER = 1e-3
"""Smallest scale of the scatter of log speed between architectures (assumed: no clock is better than 0.1 %)."""


@dataclass(frozen=True, slots=True)
class _Speeds:
    """Log decode speed fitted over log depth, with the columns of the cost."""

    problem: Problem
    fit: Fit


def knee_law(contrast: Contrast, analysis: DepthAnalysis) -> Iterator[Formula]:
    """The knee at a contrast's budget; none where not every architecture reports its decode speed."""
    rows = contrast.found.rows
    if all(row.log_speed is not None for row in rows):
        yield _formula(contrast, analysis, _fit_speeds(rows, analysis.design))


def _fit_speeds(rows: Sequence[Architecture], design: Design) -> _Speeds:
    columns = design.columns(2)
    logs = np.array([row.log_speed or 0.0 for row in rows])
    scale = max(JITTER_FACTOR * scatter(logs, columns), SPEED_JITTER)
    groups = np.zeros(len(rows), dtype=np.intp)
    problem = Problem(logs, columns, np.full(len(rows), SPEED_JITTER**2), groups, scale)
    return _Speeds(problem, fit(problem))


def _formula(contrast: Contrast, analysis: DepthAnalysis, speeds: _Speeds) -> Formula:
    found, context, design = contrast.found, contrast.context, analysis.design
    ends = float(design.u.min()), float(design.u.max())
    front = find_front(analysis.skewed, Curve(speeds.fit, 2), *ends, LEVEL)
    domain = dict(contrast.found.domain)
    verdict, reasons = _judge(contrast, design, front, Ground(context, overlaps(domain, PAPER_DOMAIN)))
    return Formula(
        id=context.formula_id(KIND, VARIANT),
        revision=context.revision,
        kind=KIND,
        variant=VARIANT,
        form="knee",
        expression="exp(log_speed + speed_slope * log2(depth / reference_depth)"
        " + speed_curvature * log2(depth / reference_depth) ** 2)",
        statement=_statement(contrast, design, front),
        latex=_latex(speeds, design),
        studies=context.studies,
        size_convention=contrast.budget.convention,
        observations=sum(row.runs for row in found.rows),
        domain=domain,
        held_out_error=root_mean_square(held_out_errors(speeds.problem, speeds.fit.jitter)),
        held_out_unit=f"log {SPEED}",
        coefficients=_coefficients(design, front, speeds, verdict),
        verdict=verdict,
        reasons=(*reasons, *remarks(found)),
        supply=_supply(contrast, front, verdict),
        evidence=_evidence(contrast, analysis, front, speeds),
    )


def _knee_words(design: Design, front: FrontCurve) -> str:
    knee = front.knee
    return optimum_words(Optimum(knee.estimate, knee.low, knee.high), design.reference_depth)


def _statement(contrast: Contrast, design: Design, front: FrontCurve) -> str:
    words = _knee_words(design, front)
    front_words = f"the front of {contrast.context.metric} against decode speed"
    if not words:
        return f"the knee of {front_words} {contrast.words} is not located"
    return f"{front_words} bends at a depth of {words} {contrast.words}"


def _latex(speeds: _Speeds, design: Design) -> str:
    level, slope, bend = speeds.fit.mean()[:3]
    depth = rf"\log_2\frac{{L}}{{{design.reference_depth:.0f}}}"
    return rf"v = {math.exp(level):.4g}\exp\left({slope:.3g}\,{depth} {bend:+.3g}\,\left({depth}\right)^2\right)"


def _coefficients(design: Design, front: FrontCurve, speeds: _Speeds, verdict: Verdict) -> dict[str, Coefficient]:
    knee = [
        None if at is None else design.reference_depth * 2**at
        for at in (front.knee.estimate, front.knee.low, front.knee.high)
    ]
    size = speeds.fit.means.shape[1]
    return {
        "knee_depth": Coefficient(
            estimate=knee[0],
            low=knee[1],
            high=knee[2],
            level=LEVEL,
            unit="layers",
            paper=PaperClaim(formula="F2", region=KNEE_REGION, test="value"),
            verdict=verdict,
        ),
        "reference_depth": constant(design.reference_depth, "layers"),
        **{
            name: coefficient(speeds.fit.interval(unit_vector(size, index), LEVEL), "1")
            for index, name in enumerate(SPEED_TERMS)
        },
    }


def _judge(contrast: Contrast, design: Design, front: FrontCurve, ground: Ground) -> tuple[Verdict, tuple[str, ...]]:
    if reasons := obstacles(contrast.found):
        return ground.verdict("across"), reasons
    depth = [None if at is None else design.reference_depth * 2**at for at in (front.knee.low, front.knee.high)]
    low, high = -math.inf if depth[0] is None else depth[0], math.inf if depth[1] is None else depth[1]
    where = position(Interval(math.nan, low, high), KNEE_REGION)
    said = f"the knee is that of the front between {_tried(design)} layers: another range of depths may move it"
    if None not in depth:
        return ground.verdict(where), (said,)
    sides = " and ".join(word for word, end in zip(("shallowest", "deepest"), depth, strict=True) if end is None)
    return ground.verdict(where), (said, f"the front may bend at the {sides} depth tried or beyond: add depths there")


def _tried(design: Design) -> str:
    ends = (design.reference_depth * 2 ** float(end) for end in (design.u.min(), design.u.max()))
    return " and ".join(f"{end:.3g}" for end in ends)


def _supply(contrast: Contrast, front: FrontCurve, verdict: Verdict) -> supply.Patch | None:
    if (patch := supply.rates(contrast.found)) is not None:
        return patch
    trials = len(contrast.observations)
    low, high = front.knee.low is None, front.knee.high is None
    if low or high:
        return supply.depths(contrast.found.rows, low, high, trials)
    return supply.more_trials(2 * trials) if verdict == "undetermined" else None


def _evidence(contrast: Contrast, analysis: DepthAnalysis, front: FrontCurve, speeds: _Speeds) -> dict[str, Any]:
    rows, context = contrast.found.rows, contrast.context
    costs = np.array([[row.cost, -math.exp(row.log_speed or 0.0)] for row in rows])
    kept = is_on_front(costs)
    residuals = speeds.problem.response - predict(speeds.fit, speeds.problem)
    return {
        "points": [
            {**point(row, context), SPEED: math.exp(row.log_speed or 0.0), "front": bool(on)}
            for row, on in zip(rows, kept, strict=True)
        ],
        "curve": _curve(context, analysis, front, speeds),
        "axes": [SPEED, context.metric],
        "residuals": [float(residual) for residual in residuals],
        "covariance": covariance_evidence(speeds.fit, SPEED_TERMS, LEVEL, logarithmic=True),
        "profiled": contrast.found.profiled,
    }


def _curve(
    context: FitContext, analysis: DepthAnalysis, front: FrontCurve, speeds: _Speeds
) -> list[dict[str, float | bool]]:
    """Along depth: speed, objective with its interval, and whether the front goes there."""
    knee = front.knee.estimate
    places = sorted({*front.u[::CURVE_STEP].tolist(), float(front.u[-1]), *([] if knee is None else [knee])})
    curve = []
    for u in places:
        interval = _at(analysis.skewed, u)
        ends = sorted(context.sign * end for end in (interval.low, interval.high))
        curve.append(
            {
                "depth": analysis.design.reference_depth * 2**u,
                SPEED: math.exp(_at(Curve(speeds.fit, 2), u).estimate),
                context.metric: context.sign * interval.estimate,
                "low": ends[0],
                "high": ends[1],
                "front": bool(front.on_front[int(np.argmin(np.abs(front.u - u)))]),
                "knee": u == knee,
            }
        )
    return curve


def _at(curve: Curve, u: float) -> Interval:
    """A curve's value at u, at the mean of all else."""
    contrast = np.zeros(curve.fit.means.shape[1])
    contrast[: curve.degree + 1] = u ** np.arange(curve.degree + 1.0)
    return curve.fit.interval(contrast, LEVEL)
