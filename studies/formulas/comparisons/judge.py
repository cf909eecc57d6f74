"""What a family of paired tests says of the paper's claims."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from studies.formulas.comparisons.blocks import Blocks
from studies.formulas.comparisons.kinds import Claim, Comparison
from studies.formulas.comparisons.pairs import Family, Pair
from studies.formulas.formula import Verdict
from studies.formulas.observations import FitContext
from studies.formulas.verdicts import Ground

MAX_EDGE_SHARE = 0.25
"""Share of profiles at the edge of the rates beyond which no verdict is given (assumed, as for depth)."""
MOST_TIMES = 100.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """Verdicts of the law and of each claim."""

    verdict: Verdict
    claims: Mapping[tuple[str, str], Verdict]
    reasons: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """The paper's methods that were not tried."""
    times: float | None = None
    """How many times the present seeds would decide; None where nothing is open, or seeds would not."""


def judge(comparison: Comparison, blocks: Blocks, family: Family, context: FitContext, ground: Ground) -> Judgement:
    """Judge each claim, and the law: it holds if all of its claims do, and fails if one of them does.

    An order fails also where any two of its methods, neighbours or not, are decided against it.
    """
    missing = tuple(method for method in comparison.methods if method not in blocks.methods)
    remarks = _remarks(comparison, blocks)
    obstacle = _obstacle(blocks)
    places = {claim: family.where(claim) for claim in comparison.claims}
    stated = {claim: place for claim, place in places.items() if place != "missing"}
    if obstacle is not None:
        claims = {(claim.first, claim.second): ground.verdict("across") for claim in stated}
        return Judgement(ground.verdict("across"), claims, (obstacle, *remarks), missing)
    claims = {(claim.first, claim.second): ground.verdict(place) for claim, place in stated.items()}
    against = _against(comparison, family)
    said = tuple(_said(claim, place, family, context) for claim, place in stated.items())
    if against or "outside" in stated.values():
        reasons = tuple(_contradiction(pair, context) for pair in against)
        return Judgement(ground.verdict("outside"), claims, (*reasons, *said, *remarks), ())
    if all(place == "inside" for place in places.values()):
        return Judgement(ground.verdict("inside"), claims, (*said, *remarks))
    times = max((_times(claim, family) for claim, place in stated.items() if place == "across"), default=None)
    absent = (f"the claim is about {', '.join(comparison.methods)}; not compared: {', '.join(missing)}",) * bool(
        missing
    )
    more = () if times is None else (_more(times, family),)
    return Judgement(ground.verdict("across"), claims, (*said, *absent, *more, *remarks), missing, times)


def _against(comparison: Comparison, family: Family) -> list[Pair]:
    """Pairs of an order that are decided the other way."""
    if not all(claim.test == "order" for claim in comparison.claims):
        return []
    ordered = set(comparison.methods)
    pairs = (pair for pair in family.pairs.values() if {pair.first, pair.second} <= ordered)
    return [pair for pair in pairs if pair.decided and pair.estimate > 0]


def _contradiction(pair: Pair, context: FitContext) -> str:
    return f"{pair.second} is worse than {pair.first} by {abs(pair.estimate):.3g} {context.metric}, against the order"


def _said(claim: Claim, place: str, family: Family, context: FitContext) -> str:
    pair = family.pairs[claim.first, claim.second]
    value, ends = (
        context.sign * pair.estimate,
        sorted(context.sign * end for end in (pair.interval.low, pair.interval.high)),
    )
    words = {"inside": "as claimed", "outside": "against the claim", "across": "not decided"}[place]
    margin = family.equalities[claim.first, claim.second].margin if claim.test == "equal" else None
    claimed = "better" if margin is None else f"equal within {margin:.3g}"
    return (
        f"{claim.second} against {claim.first} ({claimed}): {value:+.3g} ({ends[0]:.3g} to {ends[1]:.3g}) over "
        f"{pair.pairs} pairs, {words} (Holm's p {_p(claim, family):.2g})"
    )


def _p(claim: Claim, family: Family) -> float:
    """Of the test that the claim rests on."""
    key = (claim.first, claim.second)
    return family.equalities[key].within if claim.test == "equal" else family.pairs[key].adjusted


def _times(claim: Claim, family: Family) -> float:
    """How many times the pairs would decide, if the estimate stays: the half-width must shrink to the distance."""
    pair = family.pairs[claim.first, claim.second]
    half = pair.interval.high - pair.estimate
    distance = abs(pair.estimate)
    if claim.test == "equal":
        distance = abs(family.equalities[claim.first, claim.second].margin - distance)
    return min(max((half / distance) ** 2, 1.1), MOST_TIMES) if distance > 0 else MOST_TIMES


def _more(times: float, family: Family) -> str:
    pairs = max(pair.pairs for pair in family.pairs.values())
    if times >= MOST_TIMES:
        return f"more than {MOST_TIMES:.0f} times the present {pairs} pairs would be needed to decide"
    further = math.ceil(pairs * (times - 1))
    methods = len({method for key in family.pairs for method in key})
    return (
        f"about {further} further seeds of each method ({further * methods} trials at one rate) would decide, if the "
        "estimates stay"
    )


def _obstacle(blocks: Blocks) -> str | None:
    """Why no verdict can be given whatever the intervals."""
    if blocks.rates == "best_tried":
        return (
            "learning rates were not profiled (fewer than 3 usable rates for most runs), so that rates are compared "
            f"along with methods: train each at 3 rates or more, or all at one ({3 * blocks.cells} trials)"
        )
    if blocks.at_edge > MAX_EDGE_SHARE * blocks.cells:
        return (
            f"the best rate lies at the edge of the tried rates in {blocks.at_edge} of {blocks.cells} profiles: extend "
            f"the rates there ({2 * blocks.cells} further trials)"
        )
    return None


def _remarks(comparison: Comparison, blocks: Blocks) -> tuple[str, ...]:
    configurations = len(set(blocks.configurations.tolist()))
    lost = ", ".join(f"{count} of {method}" for method, count in blocks.lost.items() if count)
    remarks = {
        "all methods were trained at the same learning rate, not each at its own best": blocks.rates == "common",
        f"differences are about these {configurations} configurations, whose seeds are the units": (
            configurations > 1 and not blocks.by_configuration
        ),
        f"runs that failed were left out with their pairs ({lost})": bool(lost),
    }
    return tuple(remark for remark, applies in remarks.items() if applies)
