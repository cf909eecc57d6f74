"""The principal law of the best rate over the batch as a formula: ``power``, ``broken_power`` or ``saturating``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from studies.formulas.evaluation import bounded_exp, curve_points
from studies.formulas.fitting.fit import covariance_evidence, held_out_errors, predict, root_mean_square
from studies.formulas.fitting.profiles import MIN_RATES
from studies.formulas.formula import Coefficient, Formula, latex_number
from studies.formulas.learning_rate_batch import supply
from studies.formulas.learning_rate_batch.cells import MIN_SPREAD_GRIDS, Cell, Table
from studies.formulas.learning_rate_batch.exponents import (
    CLAIM,
    REGION,
    Analysis,
    judge,
    rival_errors,
    slopes_around_best_batch,
)
from studies.formulas.learning_rate_batch.optima import GridOptimum
from studies.formulas.learning_rate_batch.saturating import EXPRESSION as SATURATING
from studies.formulas.learning_rate_batch.saturating import Saturating
from studies.formulas.learning_rate_batch.windows import around_best_batch, exponent_by_window
from studies.formulas.observations import FitContext, Observation, ranges
from studies.formulas.verdicts import LEVEL, Domain, Ground, missing_trials, overlaps

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
EXPRESSIONS: Mapping[str, str] = {"power": POWER, "broken_power": BROKEN_POWER, "saturating": SATURATING}
CURVE_POINTS = 25


@dataclass(frozen=True, slots=True)
class Fitted:
    """Everything that the principal law is made of."""

    observations: Sequence[Observation]
    context: FitContext
    table: Table
    cells: Sequence[Cell]
    """Those inside the tried rates."""
    analysis: Analysis
    saturating: Saturating | None
    """None where it is not identified."""
    optima: Mapping[int, GridOptimum]
    """Best batches by grid."""
    reference: float

    @property
    def saturates(self) -> bool:
        """Whether a single exponent is contradicted, and the saturating law predicts grids left out better than two."""
        law = self.saturating
        return law is not None and self.analysis.contradicted and law.held_out_error < self.unsaturated_error

    @property
    def unsaturated_error(self) -> float:
        """Held-out error of the law with one exponent, or with two where one is contradicted."""
        return root_mean_square(held_out_errors(self.analysis.problem, self.analysis.fit.jitter))

    @property
    def form(self) -> str:
        """Name of the form that is reported."""
        if self.saturates:
            return "saturating"
        return "broken_power" if self.analysis.contradicted else "power"


def domain_of(observations: Sequence[Observation], cells: Sequence[Cell]) -> dict[str, tuple[float, float]]:
    """Ranges of the observations; the batch's is that of the cells that were fitted."""
    domain = ranges(observations, DOMAIN_COLUMNS)
    batches = [cell.batch_tokens for cell in cells]
    return {**domain, "batch_tokens": (min(batches), max(batches))} if batches else domain


def formula_without_fit(
    observations: Sequence[Observation],
    context: FitContext,
    table: Table,
    reason: str,
    patch: supply.Patch | None,
) -> Formula:
    """The law with its claim, no numbers, and what is missing."""
    domain = domain_of(observations, ())
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
        reasons=(reason,),
        supply=patch,
        evidence={
            "points": [_point(cell) for cell in table.cells],
            "curve": [],
            "residuals": [],
            "axes": ["batch_tokens", "learning_rate"],
        },
    )


def principal_formula(fitted: Fitted) -> Formula:
    """The law with its coefficients, verdict and evidence."""
    context, cells, analysis = fitted.context, fitted.cells, fitted.analysis
    domain = domain_of(fitted.observations, cells)
    ground = Ground(context, overlaps(domain, PAPER_DOMAIN))
    runs = sum(cell.runs for cell in cells)
    judgement = judge(analysis, ground, runs, fitted.reference)
    law = fitted.saturating if fitted.saturates else None
    own = {} if law is None else law.coefficients(fitted.reference)
    beside = around_best_batch(cells, analysis.problem.response, fitted.optima, ground)
    formula = Formula(
        id=context.formula_id(KIND),
        revision=context.revision,
        kind=KIND,
        form=fitted.form,
        expression=EXPRESSIONS[fitted.form],
        statement=_statement(analysis, fitted.reference) if law is None else law.statement(fitted.reference),
        latex=_latex(analysis, fitted.reference) if law is None else law.latex(fitted.reference),
        studies=context.studies,
        size_convention=_size_convention(domain),
        observations=runs,
        domain=domain,
        held_out_error=fitted.unsaturated_error if law is None else law.held_out_error,
        held_out_unit="log learning rate",
        coefficients={**own, **judgement.coefficients, **beside},
        verdict=judgement.verdict,
        reasons=(*judgement.reasons, *_remarks(fitted.table, cells, fitted.observations)),
        supply=_supply(fitted, runs) if judgement.verdict == "undetermined" else None,
        evidence=_evidence(fitted),
    )
    curve = curve_points(formula, "batch_tokens", "learning_rate", CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})


def _supply(fitted: Fitted, runs: int) -> supply.Patch | None:
    """A further batch where the exponents cannot be told apart, else seeds enough to shorten the interval of r."""
    halves = fitted.analysis.halves
    if halves is None:
        return supply.batches(fitted.observations, 0, 1)
    further = missing_trials(halves.low if fitted.analysis.contradicted else fitted.analysis.r, REGION, runs)
    return None if further is None else supply.more_seeds(fitted.observations, further)


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


def _evidence(fitted: Fitted) -> dict[str, Any]:
    analysis, cells, law = fitted.analysis, fitted.cells, fitted.saturating
    used = {(cell.group, cell.batch_tokens) for cell in cells}
    chosen = law if fitted.saturates else None
    residuals = analysis.problem.response - predict(analysis.fit, analysis.problem)
    rivals = rival_errors(analysis)
    return {
        "points": [{**_point(cell), "used": (cell.group, cell.batch_tokens) in used} for cell in fitted.table.cells],
        "residuals": [float(residual) for residual in (residuals if chosen is None else chosen.residuals())],
        "covariance": _covariance(analysis) if chosen is None else chosen.covariance(),
        "rivals": rivals if law is None else {**rivals, "saturating": law.held_out_error},
        "axes": ["batch_tokens", "learning_rate"],
        "group_columns": list(fitted.table.splitting),
        "below_twice_best_batch": slopes_around_best_batch(cells),
        "exponent_by_window": exponent_by_window(cells, analysis.problem.response, fitted.optima),
        "jitter": analysis.fit.jitter,
        "spread_between_groups": analysis.fit.spread,
    }


def _covariance(analysis: Analysis) -> dict[str, Any]:
    names = ("c", "r", "r_change") if analysis.contradicted else ("c", "r")
    return covariance_evidence(analysis.fit, names, LEVEL, logs=("c",), logarithmic=True)
