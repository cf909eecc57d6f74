"""The verdict on "deeper is better", with its reasons."""

from dataclasses import dataclass

from studies.formulas.depth_width.architectures import Architecture, Architectures
from studies.formulas.depth_width.claims import deeper_is_better
from studies.formulas.depth_width.forms import DepthAnalysis
from studies.formulas.fitting.fit import Interval
from studies.formulas.fitting.shapes import Optimum
from studies.formulas.formula import Verdict
from studies.formulas.observations import FitContext
from studies.formulas.verdicts import Ground, further_trials, position

MAX_EDGE_SHARE = 0.25
"""Share of profiles at the edge of the rates beyond which no verdict is given (assumed)."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is said of the law and of its trend."""

    law: Verdict
    trend: Verdict
    reasons: tuple[str, ...]


def judge(
    found: Architectures, analysis: DepthAnalysis, trend: Interval, context: FitContext, ground: Ground
) -> Judgement:
    """The verdict on "deeper is better".

    A certified U contradicts it beyond the best depth, but not at the paper's own scale, where the paper has a knee
    itself; the sign of a trend over a U depends on the depths sampled, so that the trend carries none.
    """
    undetermined = ground.verdict("across")
    if reasons := obstacles(found):
        return Judgement(undetermined, undetermined, reasons)
    if analysis.shape != "U":
        verdict = ground.verdict(position(trend, deeper_is_better(context).region))
        return Judgement(verdict, verdict, _trend_reasons(trend, context, found))
    verdict = undetermined if ground.in_paper_domain else ground.verdict("outside")
    best = optimum_words(analysis.best, analysis.design.reference_depth)
    reason = f"the relation to depth is a U, best at {best}: deeper is better only up to there"
    return Judgement(verdict, undetermined, (reason,))


def obstacles(found: Architectures) -> tuple[str, ...]:
    """Why no verdict can be given whatever the interval."""
    edges = at_an_edge(found.rows)
    sides = " and ".join(sorted({row.edge for row in found.rows} - {"none"}))
    reasons = {
        "learning rates were not profiled (fewer than 3 usable rates for most architectures), so that rates are "
        "compared along with shapes: train every architecture at 3 rates or more "
        f"({3 * len(found.rows)} trials)": not found.profiled,
        f"the best rate lies at the {sides} edge of the tried rates in {edges} of {len(found.rows)} architectures: "
        f"extend the rates there ({2 * edges} further trials)": has_many_edges(found),
    }
    return tuple(reason for reason, applies in reasons.items() if applies)


def at_an_edge(rows: tuple[Architecture, ...]) -> int:
    """Architectures whose best rate lies at an edge of the tried rates."""
    return sum(row.edge != "none" for row in rows)


def has_many_edges(found: Architectures) -> bool:
    """Whether the best rate lies at an edge in too many architectures for a verdict."""
    return at_an_edge(found.rows) > MAX_EDGE_SHARE * len(found.rows)


def _trend_reasons(trend: Interval, context: FitContext, found: Architectures) -> tuple[str, ...]:
    region = deeper_is_better(context).region
    said = (
        f"{context.metric} changes by {trend.estimate:.3g} per doubling of depth ({trend.low:.3g} to {trend.high:.3g})"
    )
    if position(trend, region) != "across":
        return (said,)
    return (said, further_trials(trend, region, sum(row.runs for row in found.rows)))


def remarks(found: Architectures) -> tuple[str, ...]:
    """What was left out or is only a bound."""
    edges = at_an_edge(found.rows)
    said = {
        f"{edges} profiles end at the edge of the tried rates: their values are upper bounds of the cost": edges,
        f"{found.left_out} architectures without a usable profile were left out": found.left_out,
        f"{found.diverged} failed or diverged runs were not fitted": found.diverged,
        f"{found.checkpoints} rows at other lengths of the same runs were left out: runs are compared at one "
        "length": found.checkpoints,
    }
    return tuple(remark for remark, applies in said.items() if applies)


def optimum_words(best: Optimum, reference: float, unit: str = " layers") -> str:
    """Where an optimum lies, in words: with both ends, or above or below one; empty where nothing is known."""
    at = [None if end is None else f"{reference * 2**end:.3g}" for end in (best.estimate, best.low, best.high)]
    estimate, low, high = at
    about = f"{estimate}{unit}, " if estimate else ""
    if low and high:
        return f"{estimate}{unit} ({low} to {high})" if estimate else f"between {low} and {high}{unit}"
    if low:
        return f"{about}above {low}{'' if about else unit}"
    return f"{about}below {high}{'' if about else unit}" if high else ""
