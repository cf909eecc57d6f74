"""Paired comparisons of methods: initialisation (paper F3), inheritance (F4), several rounds over the data (F6).

A comparison has no continuous variable. Its coefficients are ``level``, the mean of the reference method, and for each
other method the mean paired difference to the reference; its expression adds those whose indicator ``is_METHOD`` is 1,
and an indicator that is not given is 0. A claim about two other methods has a coefficient ``SECOND_minus_FIRST``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.formulas.comparisons import report
from studies.formulas.comparisons.blocks import CONFIGURATIONS, Blocks, build_blocks
from studies.formulas.comparisons.judge import MAX_EDGE_SHARE, MAX_TOKEN_RATIO, Judgement, judge
from studies.formulas.comparisons.kinds import INHERITED, INITIALIZATION, MULTIPLE_ROUNDS, Comparison
from studies.formulas.comparisons.pairs import MIN_PAIRS, Family, compare
from studies.formulas.comparisons.supply import more_methods, more_seeds
from studies.formulas.comparisons.winner import recommended
from studies.formulas.formula import Coefficient, Formula
from studies.formulas.observations import FitContext, Observation, ranges
from studies.formulas.supply import more_rates
from studies.formulas.verdicts import LEVEL, Domain, Ground, overlaps

Floats = NDArray[np.float64]
PAPER_DOMAIN: Domain = {"total_parameters": (0.5e9, 2e9)}
"""About 1B parameters, read as 0.5B to 2B (assumed)."""
DOMAIN_COLUMNS = (
    "depth",
    "width",
    "vocabulary_size",
    "learning_rate",
    "batch_tokens",
    "total_parameters",
    "non_embedding_parameters",
    "train_tokens",
    "train_bytes",
)
MAX_METHODS = 12
"""More are no comparison of methods but a search (assumed; 66 pairs)."""


def fit_initialization(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Compare initialisations (F3); none where they did not vary."""
    return _fit(INITIALIZATION, observations, context)


def fit_inheritance(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Compare ways to inherit weights (F4); none where they did not vary."""
    return _fit(INHERITED, observations, context)


def fit_multiple_rounds(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Compare numbers of rounds over the data (F6); none where they did not vary."""
    return _fit(MULTIPLE_ROUNDS, observations, context)


def _fit(comparison: Comparison, observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    rows = [row for row in observations if comparison.label(row) is not None]
    methods = {comparison.label(row) for row in rows}
    if len(methods) < 2:
        return ()
    if len(methods) > MAX_METHODS:
        reason = f"{len(methods)} methods are too many for a comparison: keep {MAX_METHODS} of them, at the same seeds"
        return (_without_fit(comparison, rows, context, reason, None),)
    blocks = build_blocks(rows, comparison, context)
    family = compare(blocks, comparison)
    if not any(blocks.methods[0] == first for first, _ in family.pairs):
        most = int((~np.isnan(blocks.costs)).sum(axis=0).min())
        reason = (
            f"no method shares {MIN_PAIRS} seeds or configurations with {blocks.methods[0]} (some has {most} usable "
            f"runs): train every method at the same {MIN_PAIRS} seeds or more "
            f"({MIN_PAIRS * len(methods)} trials at one rate)"
        )
        configurations = min(len(set(blocks.configurations.tolist())), CONFIGURATIONS)
        return (_without_fit(comparison, rows, context, reason, more_methods(rows, comparison, configurations)),)
    return (_formula(comparison, rows, context, blocks, family),)


def _without_fit(
    comparison: Comparison,
    rows: Sequence[Observation],
    context: FitContext,
    reason: str,
    supply: dict[str, Any] | None,
) -> Formula:
    verdict = Ground(context, False).verdict("across")
    tried = {label for row in rows if (label := comparison.label(row)) is not None}
    reference = next((method for method in comparison.methods if method in tried), comparison.methods[0])
    own = {
        report.name_of(claim.first, claim.second, reference): Coefficient(
            estimate=None,
            low=None,
            high=None,
            level=LEVEL,
            unit=context.metric,
            paper=report.claimed(comparison, claim, context, None),
            verdict=verdict,
        )
        for claim in comparison.claims_about(tried)
        if claim.test != "equal"
    }
    return Formula(
        id=context.formula_id(comparison.kind),
        revision=context.revision,
        kind=comparison.kind,
        form="paired_differences",
        statement=f"{context.metric} by method, not determined",
        latex=r"y = a + d_m",
        studies=context.studies,
        size_convention="total_parameters",
        observations=len(rows),
        domain=ranges(rows, DOMAIN_COLUMNS),
        held_out_error=None,
        held_out_unit=context.metric,
        coefficients=own,
        verdict=verdict,
        reasons=(reason,),
        supply=supply,
        evidence={"points": [], "curve": [], "residuals": [], "pairs": [], "axes": ["method", context.metric]},
    )


def _formula(
    comparison: Comparison, rows: Sequence[Observation], context: FitContext, blocks: Blocks, family: Family
) -> Formula:
    domain = ranges(rows, DOMAIN_COLUMNS)
    sized = "total_parameters" in domain  # runs of unknown size are not taken for the paper's
    ground = Ground(context, sized and overlaps(domain, PAPER_DOMAIN))
    judgement = judge(comparison, blocks, family, context, ground)
    against = [pair for pair in family.pairs.values() if pair.first == blocks.methods[0]]
    return Formula(
        id=context.formula_id(comparison.kind),
        revision=context.revision,
        kind=comparison.kind,
        form="paired_differences",
        expression="level + " + " + ".join(f"{pair.second} * is_{pair.second}" for pair in against),
        statement=report.statement(context, against),
        latex=report.latex(context, family, against),
        studies=context.studies,
        size_convention="total_parameters",
        observations=len(rows),
        domain={**domain, **{f"is_{pair.second}": (0.0, 1.0) for pair in against}},
        held_out_error=report.held_out(family, against),
        held_out_unit=context.metric,
        coefficients=report.coefficients(comparison, context, blocks, family, judgement),
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        supply=_supply(comparison, rows, blocks, judgement),
        evidence={
            **report.evidence(context, blocks, family, against),
            "winner": recommended(comparison, rows, family),
        },
    )


def _supply(
    comparison: Comparison, rows: Sequence[Observation], blocks: Blocks, judgement: Judgement
) -> dict[str, Any] | None:
    if blocks.token_ratio > MAX_TOKEN_RATIO:
        return None
    if blocks.rates == "best_tried" or blocks.at_edge > MAX_EDGE_SHARE * blocks.cells:
        return more_rates(rows, "both", blocks.cells)
    if judgement.missing:
        return more_methods(rows, comparison, len(set(blocks.configurations.tolist())))
    return None if judgement.times is None else more_seeds(rows, judgement.times)
