"""The learning rate x batch law, lr* = c·(B/B0)^r (paper F5: r = 0.5 below a batch of 4M tokens, at 1B parameters).

Each grid (everything fixed but rate, batch and seed) is profiled at each batch (``profiles``); the best rates are
regressed on the batch with an intercept for each grid (``fit``). Because r is known to vary with the batch, a line
with a knot in the middle of the batches is fitted too: when its two slopes differ, the power form is contradicted and
``broken_power`` is reported instead.

Coefficients: ``c`` best rate at ``reference_batch_tokens`` (geometric mean over grids); ``r`` the exponent (in
``broken_power`` that below ``knot_batch_tokens``); ``r_change`` what is added to it above the knot. ``broken_power``
also has ``r_high`` = r + r_change, and ``r_overall``, the exponent of the contradicted single power.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

from studies.formulas.evaluation import bounded_exp, curve_points
from studies.formulas.fitting.censoring import select
from studies.formulas.fitting.fit import (
    Problem,
    covariance_evidence,
    determined,
    held_out_errors,
    predict,
    root_mean_square,
)
from studies.formulas.fitting.profiles import MIN_RATES
from studies.formulas.formula import Coefficient, Formula, latex_number
from studies.formulas.learning_rate_batch.cells import MIN_SPREAD_GRIDS, Cell, Table, build_problem, build_table
from studies.formulas.learning_rate_batch.exponents import (
    CLAIM,
    Analysis,
    analyse,
    judge,
    rival_errors,
    slopes_around_best_batch,
)
from studies.formulas.learning_rate_batch.joint_law import joint_formulas
from studies.formulas.observations import FitContext, Observation, ranges
from studies.formulas.verdicts import LEVEL, Domain, Ground, overlaps

KIND: Final = "learning_rate_batch"
PAPER_DOMAIN: Domain = {"batch_tokens": (None, 4e6), "total_parameters": (0.5e9, 2e9)}
"""Batch below 4M tokens (paper, F5); about 1B parameters, read as 0.5B to 2B (assumed)."""
DOMAIN_COLUMNS = (
    "batch_tokens",
    "learning_rate",
    "total_parameters",
    "non_embedding_parameters",
    "train_tokens",
    "depth",
    "width",
    "vocabulary_size",
)
POWER = "c * (batch_tokens / reference_batch_tokens) ** r"
BROKEN_POWER = f"{POWER} * max(1, batch_tokens / knot_batch_tokens) ** r_change"
MIN_BATCHES = 3
CURVE_POINTS = 25


def fit_learning_rate_batch(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Fit the law.

    Returns:
        None where rate or batch did not vary: the law does not apply.
    """
    if any(
        len({row.number_of(name) for row in observations} - {None}) < 2 for name in ("learning_rate", "batch_tokens")
    ):
        return ()
    table = build_table(observations, context)
    reasons = _shortcomings(table)
    if reasons or table.profiles is None:
        return (_without_fit(observations, context, table, reasons),)
    reference = _reference(table)
    problem = build_problem(table, reference)
    selection = select(problem, [cell.profile for cell in table.cells])
    cells = tuple(cell for cell, kept in zip(table.cells, selection.kept, strict=True) if kept)
    problem = problem.with_response(selection.response).only(selection.kept)
    if not _enough(cells, problem):
        return (_without_fit(observations, context, table, (_censored_reason(table, len(cells)),)),)
    shift = table.profiles.shift_error
    analysis = analyse(problem, shift)
    domain = _domain(observations, cells)
    joint = joint_formulas(observations, context, domain, cells, problem.response, shift, reference)
    return (_formula(observations, context, table, cells, analysis, reference), *joint)


def _shortcomings(table: Table) -> tuple[str, ...]:
    if table.profiles is None:
        return (
            f"the best rate is bracketed nowhere: train each batch at {MIN_RATES} rates or more around its best one "
            f"(two to five further trials for each batch, factors of 2 apart)",
        )
    if not table.cells:
        return (
            "no architecture was trained at two batches with three rates each: repeat one architecture at "
            f"{MIN_BATCHES} batches x {MIN_RATES} rates ({MIN_BATCHES * MIN_RATES} further trials)",
        )
    missing = MIN_BATCHES - len(table.batches)
    if missing > 0:
        return (
            f"{len(table.batches)} batches cannot show whether the exponent is constant: add {missing} batch at the "
            f"rates already used ({missing * max(cell.rates for cell in table.cells)} further trials for each grid)",
        )
    return ()


def _enough(cells: Sequence[Cell], problem: Problem) -> bool:
    if len({cell.batch_tokens for cell in cells}) < MIN_BATCHES:
        return False
    freedom = len(cells) - (problem.groups.max() + 1) - problem.columns.shape[1]
    return bool(freedom >= 1 and determined(problem.columns, problem.groups))


def _censored_reason(table: Table, kept: int) -> str:
    low = sum(cell.profile.edge == "low" for cell in table.cells)
    high = sum(cell.profile.edge == "high" for cell in table.cells)
    return (
        f"the best rate is below the smallest tried one in {low} and above the largest in {high} of "
        f"{len(table.cells)} profiles, which leaves {kept}: extend the rates on that side by two steps "
        f"(about {2 * max(low + high, 1)} further trials)"
    )


def _reference(table: Table) -> float:
    """The largest power of two not above the middle batch, so that ``c`` is the rate there in both forms."""
    batches = table.batches
    return float(2 ** math.floor(math.log2(batches[(len(batches) - 1) // 2])))


def _domain(observations: Sequence[Observation], cells: Sequence[Cell]) -> dict[str, tuple[float, float]]:
    """Ranges of the observations; the batch's is that of the cells that were fitted."""
    domain = ranges(observations, DOMAIN_COLUMNS)
    batches = [cell.batch_tokens for cell in cells]
    return {**domain, "batch_tokens": (min(batches), max(batches))} if batches else domain


def _without_fit(
    observations: Sequence[Observation], context: FitContext, table: Table, reasons: tuple[str, ...]
) -> Formula:
    """The law with its claim, no numbers, and what is missing."""
    domain = _domain(observations, ())
    verdict = Ground(context, overlaps(domain, PAPER_DOMAIN)).verdict("across")
    unknown = Coefficient(estimate=None, low=None, high=None, level=LEVEL, paper=CLAIM, verdict=verdict)
    return Formula(
        id=context.formula_id(KIND),
        revision=context.revision,
        kind=KIND,
        form="power",
        statement="lr* = c·(B/B0)^r, not determined",
        latex=r"\eta^{*} = c\,(B/B_0)^{r}",
        studies=context.studies,
        size_convention=_size_convention(domain),
        observations=len(observations),
        domain=domain,
        held_out_error=None,
        held_out_unit="log learning rate",
        coefficients={"r": unknown},
        verdict=verdict,
        reasons=reasons,
        evidence={
            "points": [_point(cell) for cell in table.cells],
            "curve": [],
            "residuals": [],
            "axes": ["batch_tokens", "learning_rate"],
        },
    )


def _formula(
    observations: Sequence[Observation],
    context: FitContext,
    table: Table,
    cells: Sequence[Cell],
    analysis: Analysis,
    reference: float,
) -> Formula:
    domain = _domain(observations, cells)
    ground = Ground(context, overlaps(domain, PAPER_DOMAIN))
    judgement = judge(analysis, ground, sum(cell.runs for cell in cells), reference)
    formula = Formula(
        id=context.formula_id(KIND),
        revision=context.revision,
        kind=KIND,
        form="broken_power" if analysis.contradicted else "power",
        expression=BROKEN_POWER if analysis.contradicted else POWER,
        statement=_statement(analysis, reference),
        latex=_latex(analysis, reference),
        studies=context.studies,
        size_convention=_size_convention(domain),
        observations=sum(cell.runs for cell in cells),
        domain=domain,
        held_out_error=root_mean_square(held_out_errors(analysis.problem, analysis.fit.jitter)),
        held_out_unit="log learning rate",
        coefficients=judgement.coefficients,
        verdict=judgement.verdict,
        reasons=(*judgement.reasons, *_remarks(table, cells, observations)),
        evidence=_evidence(table, cells, analysis),
    )
    curve = curve_points(formula, "batch_tokens", "learning_rate", CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})


def _size_convention(domain: dict[str, tuple[float, float]]) -> str:
    return next((name for name in ("total_parameters", "non_embedding_parameters") if name in domain), "not reported")


def _statement(analysis: Analysis, reference: float) -> str:
    level, slope, *rest = analysis.fit.mean()
    power = f"lr* = {bounded_exp(level):.3g}·(B/{reference:.0f})^{slope:.2f}"
    if not analysis.contradicted:
        return power
    knot = reference * bounded_exp(analysis.knot)
    return f"{power}·max(1, B/{knot:.0f})^{rest[0]:.2f}"


def _latex(analysis: Analysis, reference: float) -> str:
    level, slope, *rest = analysis.fit.mean()
    power = (
        rf"\eta^{{*}} = {latex_number(bounded_exp(level))}\left(\frac{{B}}{{{reference:.0f}}}\right)^{{{slope:.2f}}}"
    )
    if not analysis.contradicted:
        return power
    knot = reference * bounded_exp(analysis.knot)
    return power + rf"\max\left(1, \frac{{B}}{{{knot:.0f}}}\right)^{{{rest[0]:.2f}}}"


def _remarks(table: Table, cells: Sequence[Cell], observations: Sequence[Observation]) -> tuple[str, ...]:
    """What a reader should know about the data, whatever the verdict."""
    dropped = len(table.cells) - len(cells)
    longest = {row.number_of("train_tokens") for row in observations} - {None}
    remarks = {
        f"{dropped} of {len(table.cells)} profiles lie too near the edge of the tried rates and only bound r": dropped,
        f"{table.unprofiled} cells have fewer than {MIN_RATES} usable rates and were left out": table.unprofiled,
        f"{table.diverged} failed or diverged runs bound the usable rates and were not fitted": table.diverged,
        "architectures differ between batches: their parameters entered as covariates": table.pooled,
        f"{table.grids} grid(s) cannot show how the exponent varies between grids: the interval is for these": (
            table.grids < MIN_SPREAD_GRIDS and not table.pooled
        ),
        "batches were trained for different numbers of tokens": len(longest) > 1
        and _length_follows_batch(observations),
    }
    return tuple(remark for remark, applies in remarks.items() if applies)


def _length_follows_batch(observations: Sequence[Observation]) -> bool:
    """Whether train_tokens grows in proportion to the batch (a fixed number of steps)."""
    pairs = [(row.number_of("batch_tokens"), row.number_of("train_tokens")) for row in observations]
    steps = [tokens / batch for batch, tokens in pairs if batch and tokens]
    return len(steps) == len(pairs) and max(steps) < 1.05 * min(steps)


def _point(cell: Cell) -> dict[str, Any]:
    profile = cell.profile
    half = 1.96 * math.sqrt(profile.log_rate_variance)
    return {
        "group": cell.group,
        "batch_tokens": cell.batch_tokens,
        "learning_rate": bounded_exp(profile.log_rate),
        "low": bounded_exp(profile.log_rate - half),
        "high": bounded_exp(profile.log_rate + half),
        "objective": profile.cost,
        "edge": profile.edge,
        "runs": cell.runs,
    }


def _evidence(table: Table, cells: Sequence[Cell], analysis: Analysis) -> dict[str, Any]:
    used = {(cell.group, cell.batch_tokens) for cell in cells}
    residuals = analysis.problem.response - predict(analysis.fit, analysis.problem)
    names = ("c", "r", "r_change") if analysis.contradicted else ("c", "r")
    return {
        "points": [{**_point(cell), "used": (cell.group, cell.batch_tokens) in used} for cell in table.cells],
        "residuals": [float(residual) for residual in residuals],
        "covariance": covariance_evidence(analysis.fit, names, LEVEL, logs=("c",), logarithmic=True),
        "rivals": rival_errors(analysis),
        "axes": ["batch_tokens", "learning_rate"],
        "group_columns": list(table.splitting),
        "below_twice_best_batch": slopes_around_best_batch(cells),
        "jitter": analysis.fit.jitter,
        "spread_between_groups": analysis.fit.spread,
    }
