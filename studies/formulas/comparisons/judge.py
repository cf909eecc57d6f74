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
MAX_TOKEN_RATIO = 1.02
"""Largest ratio of tokens in a block at which methods are compared (assumed: runs are in whole steps, and rounds in
whole parts)."""


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
    missing = comparison.missed(blocks.methods)
    remarks = _remarks(comparison, blocks)
    obstacle = _obstacle(blocks)
    places = {claim: family.where(claim) for claim in comparison.claims_about(blocks.methods)}
    stated = {claim: place for claim, place in places.items() if place != "missing"}
    if obstacle is not None:
        claims = {(claim.first, claim.second): ground.verdict("across") for claim in stated}
        return Judgement(ground.verdict("across"), claims, (obstacle, *remarks), missing)
    claims = {(claim.first, claim.second): ground.verdict(place) for claim, place in stated.items()}
    against = _against(comparison, family)
    said = tuple(_said(claim, place, family, context) for claim, place in stated.items())
    if against or _is_refuted(stated, comparison):
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


def _is_refuted(places: Mapping[Claim, str], comparison: Comparison) -> bool:
    """Whether a claim fails; of those about the methods of which the paper means one, all that were tried must."""
    sure = [place for claim, place in places.items() if claim.first not in comparison.either]
    doubtful = [place for claim, place in places.items() if claim.first in comparison.either]
    return "outside" in sure or (bool(doubtful) and set(doubtful) == {"outside"})


def _against(comparison: Comparison, family: Family) -> list[Pair]:
    """Pairs of an order, neighbours or not, that are decided the other way, whichever method the paper means."""
    if not all(claim.test == "order" for claim in comparison.claims):
        return []
    ordered = [(first, second) for first, second in family.pairs if _is_ordered(comparison, first, second)]
    wrong = [key for key in ordered if family.pairs[key].decided and family.pairs[key].estimate > 0]
    meant = comparison.either & set(family.methods)
    return [
        family.pairs[first, second]
        for first, second in wrong
        if first not in meant or all((other, second) in wrong for other in meant)
    ]


def _is_ordered(comparison: Comparison, first: str, second: str) -> bool:
    """Whether the claims, one after the other, lead from ``first`` to ``second``."""
    reached = {first}
    for claim in comparison.claims * len(comparison.claims):
        reached |= {claim.second} if claim.first in reached else set()
    return second in reached - {first}


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
    if blocks.token_ratio > MAX_TOKEN_RATIO:
        return (
            f"runs of one block saw up to {blocks.token_ratio:.2f} times the tokens of others, so that amounts of data "
            "are compared along with methods: train every method for as many tokens, all rounds counted"
        )
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
