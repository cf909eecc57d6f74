"""A comparison as it is stored: coefficients, statement and evidence, in units and direction of the metric."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from studies.formulas.comparisons.blocks import Blocks
from studies.formulas.comparisons.judge import Judgement
from studies.formulas.comparisons.kinds import Claim, Comparison
from studies.formulas.comparisons.pairs import Family, Pair
from studies.formulas.fitting.fit import Interval, root_mean_square
from studies.formulas.formula import Coefficient, PaperClaim, latex_number
from studies.formulas.observations import FitContext
from studies.formulas.verdicts import LEVEL, constant

Floats = NDArray[np.float64]


def name_of(first: str, second: str, reference: str) -> str:
    """The coefficient of a pair."""
    return second if first == reference else f"{second}_minus_{first}"


def claimed(comparison: Comparison, claim: Claim, context: FitContext, margin: float | None) -> PaperClaim:
    """A claim with its region, in units of the metric."""
    if claim.test == "equal" and margin is not None:
        return PaperClaim(formula=comparison.paper, region=(-margin, margin), test="value")
    region = (None, 0.0) if context.direction == "minimize" else (0.0, None)
    return PaperClaim(formula=comparison.paper, region=region, test="order" if claim.test == "order" else "sign")


def coefficients(
    comparison: Comparison, context: FitContext, blocks: Blocks, family: Family, judgement: Judgement
) -> dict[str, Coefficient]:
    """Level, differences to the reference, and the claims about others."""
    reference = blocks.methods[0]
    claims = {(claim.first, claim.second): claim for claim in comparison.claims}
    level = context.sign * float(_known(family.units[:, 0]).mean())
    found = {"level": constant(level, context.metric)}
    for key, pair in family.pairs.items():
        claim = claims.get(key)
        if claim is None and pair.first != reference:
            continue
        margin = family.equalities[key].margin if key in family.equalities else None
        interval = _oriented(pair.interval, context)
        found[name_of(*key, reference)] = Coefficient(
            estimate=interval.estimate,
            low=interval.low,
            high=interval.high,
            level=family.level,
            unit=context.metric,
            paper=None if claim is None else claimed(comparison, claim, context, margin),
            verdict=None if claim is None else judgement.claims[key],
        )
    zeros = {f"reference_is_{pair.second}": constant(0.0) for pair in family.pairs.values() if pair.first == reference}
    return {**found, **zeros}


def _known(values: Floats) -> Floats:
    known: Floats = values[~np.isnan(values)]
    return known


def _oriented(interval: Interval, context: FitContext) -> Interval:
    if context.direction == "minimize":
        return interval
    return Interval(-interval.estimate, -interval.high, -interval.low)


def statement(context: FitContext, against: Sequence[Pair]) -> str:
    """The differences, best method first."""
    parts = [
        f"{pair.second} {context.sign * pair.estimate:+.3g}{'' if pair.decided else ' (not decided)'}"
        for pair in sorted(against, key=lambda pair: pair.estimate)
    ]
    return f"{context.metric} against {against[0].first}: {', '.join(parts)}"


def latex(context: FitContext, family: Family, against: Sequence[Pair]) -> str:
    """The law with its numbers; m_1, m_2 … are the indicators of the methods in their order."""
    level = context.sign * float(_known(family.units[:, 0]).mean())
    parts = []
    for place, pair in enumerate(against, start=1):
        value = context.sign * pair.estimate
        parts.append(rf"{'-' if value < 0 else '+'} {latex_number(abs(value))}\,m_{{{place}}}")
    return f"y = {latex_number(level)} " + " ".join(parts)


def held_out(family: Family, against: Sequence[Pair], known: bool = True) -> float:
    """Error of each unit's differences to the reference, predicted by the other units' mean, or by no difference."""
    errors: list[Floats] = []
    for pair in against:
        differences = family.differences(pair)
        rest = (differences.sum() - differences) / (len(differences) - 1)
        errors.append(differences - rest if known else differences)
    return root_mean_square(np.concatenate(errors))


def _covariance(context: FitContext, family: Family, against: Sequence[Pair]) -> dict[str, Any]:
    """Of the level and the differences to the reference: means over the units that each has."""
    columns = [context.sign * family.units[:, 0], *(context.sign * family.by_unit(pair) for pair in against)]
    matrix = [[_covariance_of_means(first, second) for second in columns] for first in columns]
    freedom = min(pair.pairs for pair in against) - 1
    return {
        "names": ["level", *(pair.second for pair in against)],
        "matrix": matrix,
        "multiplier": float(student.ppf((1 + LEVEL) / 2, freedom)),
        "logs": [],
        "logarithmic": False,
    }


def _covariance_of_means(first: Floats, second: Floats) -> float:
    own, other = ~np.isnan(first), ~np.isnan(second)
    both = own & other
    if both.sum() < 2:
        return 0.0
    scatter = float(np.cov(first[both], second[both])[0, 1])
    return scatter * float(both.sum()) / float(own.sum() * other.sum())


def evidence(context: FitContext, blocks: Blocks, family: Family, against: Sequence[Pair]) -> dict[str, Any]:
    """What was compared, and every pair."""
    points = [
        {"method": method, context.metric: context.sign * float(cost), "unit": unit}
        for unit, costs in enumerate(family.units)
        for method, cost in zip(blocks.methods, costs, strict=True)
        if not np.isnan(cost)
    ]
    residuals = [context.sign * (family.differences(pair) - pair.estimate) for pair in against]
    return {
        "points": points,
        "curve": [],
        "axes": ["method", context.metric],
        "residuals": [float(value) for value in np.concatenate(residuals)],
        "pairs": [_pair_row(key, context, family) for key in family.pairs],
        "tests": family.tests,
        "unit": "configuration" if blocks.by_configuration else "seed",
        "rates": blocks.rates,
        "reference": blocks.methods[0],
        "covariance": _covariance(context, family, against),
        "rivals": {
            "no_difference": held_out(family, against, known=False),
            "paired_differences": held_out(family, against, known=True),
        },
    }


def _pair_row(key: tuple[str, str], context: FitContext, family: Family) -> dict[str, Any]:
    pair, equality = family.pairs[key], family.equalities.get(key)
    interval = _oriented(pair.interval, context)
    own = {} if equality is None else {"margin": equality.margin, "p_equal": equality.within}
    return {
        "first": pair.first,
        "second": pair.second,
        "difference": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "pairs": pair.pairs,
        "p": pair.p,
        "p_holm": pair.adjusted,
        **own,
    }
