"""Formulas as their cards show them: names in words, intervals as small drawings, verdicts with their meaning."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from api.web.mathml import UnknownLatex, mathml
from api.web.words import number
from studies.formulas.formula import Coefficient, Formula

TITLES: Mapping[str, str] = {
    "vocabulary": "Bits per byte by vocabulary",
    "depth_width": "Depth against width at an equal budget",
    "depth_width/non_embedding_parameters": "Depth against width at equal non-embedding parameters",
    "depth_width/train_flops": "Depth against width at equal training FLOPs",
    "depth_width/knee": "Depth at the knee of loss against decode speed",
    "depth_width/growth": "How the best depth grows with size",
    "depth_width/ratio_growth": "How the best width-to-depth ratio grows with size",
    "initialization": "Ways to initialise",
    "inheritance": "Ways to inherit weights",
    "learning_rate_batch": "Best learning rate by batch",
    "learning_rate_batch/joint_rate": "Best learning rate by size, length and batch",
    "learning_rate_batch/joint_rate_total_parameters": "Best learning rate by total size, length and batch",
    "learning_rate_batch/rate_at_best_batch": "Best learning rate at the best batch",
    "learning_rate_batch/rate_at_best_batch_total_parameters": "Best learning rate at the best batch, by total size",
    "learning_rate_batch/best_batch": "Best batch by length",
    "multiple_rounds": "Rounds over the hard half",
    "scaling": "Loss by size and length",
    "scaling/non_embedding_parameters": "Loss by size without embeddings, and length",
    "scaling/optimal_size": "Best size for a budget of compute",
    "scaling/optimal_length": "Best length for a budget of compute",
    "shrink": "How the shape shrinks with the budget",
    "shrink/width": "How the width shrinks with the budget",
    "shrink/vocabulary_size": "How the vocabulary shrinks with the budget",
    "shrink/ffn_ratio": "How the FFN ratio shrinks with the budget",
    "shrink/depth_by_flops": "How the depth shrinks with the FLOPs a token",
    "shrink/width_by_flops": "How the width shrinks with the FLOPs a token",
    "shrink/vocabulary_size_by_flops": "How the vocabulary shrinks with the FLOPs a token",
    "shrink/ffn_ratio_by_flops": "How the FFN ratio shrinks with the FLOPs a token",
}
"""By kind, or by kind and variant as ``kind/variant``."""
VERDICTS: Mapping[str, tuple[str, str]] = {
    "recovered": ("good", "The interval lies inside the region that the paper states, and the data reach its scale."),
    "refuted": ("bad", "The interval lies outside the region that the paper states, and the data reach its scale."),
    "agrees_at_this_scale": (
        "good",
        "The interval lies inside the region that the paper states; the paper's models were larger, so that nothing "
        "is said about their scale.",
    ),
    "differs_at_this_scale": (
        "warn",
        "The interval lies outside the region that the paper states; the paper's models were larger, so that this "
        "does not refute it at their scale.",
    ),
    "determined": (
        "good",
        "The law has numbers with intervals. The paper claims nothing about it, so that there is nothing to compare.",
    ),
    "undetermined": (
        "calm",
        "The data do not decide: the interval reaches across an end of the paper's region, or something is missing.",
    ),
    "exploratory": ("calm", "Trials were chosen by their outcomes, which intervals do not allow for: no verdict."),
    "interim": ("active", "The study is not finished: no verdict yet."),
}
"""Tone of the badge and meaning of each verdict."""

WIDTH, HEIGHT = 180.0, 22.0
"""Of an interval's drawing, in CSS pixels."""
ROOM = 0.18
"""What is left free at both ends of the drawing, as a share of what is shown."""


@dataclass(frozen=True, slots=True)
class Strip:
    """An interval against the paper's region, in pixels from the left."""

    region: tuple[float, float]
    interval: tuple[float, float]
    estimate: float
    described: str


@dataclass(frozen=True, slots=True)
class CoefficientRow:
    """A line of the table."""

    name: str
    value: Coefficient
    strip: Strip | None
    claim: str


@dataclass(frozen=True, slots=True)
class FormulaCard:
    """What the page says of one formula."""

    formula: Formula
    title: str
    equation: Markup | None
    tone: str
    meaning: str
    claimed: Sequence[CoefficientRow]
    others: Sequence[CoefficientRow]


def formula_card(formula: Formula) -> FormulaCard:
    """Prepare the card of a formula; its equation is None where the LaTeX is of a kind that is not converted."""
    tone, meaning = VERDICTS[formula.verdict]
    rows = [_row(name, value) for name, value in formula.coefficients.items()]
    return FormulaCard(
        formula=formula,
        title=TITLES.get(f"{formula.kind}/{formula.variant}", TITLES[formula.kind]),
        equation=_equation(formula.latex),
        tone=tone,
        meaning=meaning,
        claimed=[row for row in rows if row.value.paper],
        others=[row for row in rows if not row.value.paper],
    )


def tone_of(verdict: str) -> str:
    """Tone of a verdict's badge."""
    return VERDICTS[verdict][0]


def interval_words(value: Coefficient) -> str:
    """An interval, e.g. ``0.12 to 0.5``; empty where there is none."""
    if value.low is None and value.high is None:
        return ""
    return f"{'−∞' if value.low is None else number(value.low)} to {'∞' if value.high is None else number(value.high)}"


def _equation(latex: str) -> Markup | None:
    try:
        return mathml(latex)
    except UnknownLatex:
        return None


def _row(name: str, value: Coefficient) -> CoefficientRow:
    return CoefficientRow(name, value, _strip(value), _claim(value))


def _claim(value: Coefficient) -> str:
    if value.paper is None:
        return ""
    low, high = value.paper.region
    if low is None or high is None:
        return (
            f"{value.paper.formula}: {'at most' if low is None else 'at least'} {number(high if low is None else low)}"
        )
    return f"{value.paper.formula}: {number(low)} to {number(high)}"


def _strip(value: Coefficient) -> Strip | None:
    """Place an interval and its region on one line; None where one of them has no number."""
    if value.paper is None or value.estimate is None:
        return None
    region = _ends(value.paper.region)
    interval = _ends((value.low, value.high))
    finite = [end for end in (*region, *interval, value.estimate) if math.isfinite(end)]
    span = max(finite) - min(finite) or abs(value.estimate) or 1.0
    start, size = min(finite) - ROOM * span, (1 + 2 * ROOM) * span

    def pixel(at: float) -> float:
        return round(min(max((at - start) / size, 0.0), 1.0) * WIDTH, 1)

    described = f"estimate {number(value.estimate)}, interval {interval_words(value)}; {_claim(value)}"
    return Strip(
        region=(pixel(region[0]), pixel(region[1])),
        interval=(pixel(interval[0]), pixel(interval[1])),
        estimate=pixel(value.estimate),
        described=described,
    )


def _ends(interval: tuple[float | None, float | None]) -> tuple[float, float]:
    low, high = interval
    return -math.inf if low is None else low, math.inf if high is None else high


FILTERS: Mapping[str, Any] = {"tone_of": tone_of, "interval_words": interval_words}
