"""The scaling law L(N, D) = E + A / N^alpha + B / D^beta, and the best N and D for a budget of compute.

One formula for each parameter count that the runs report, because the convention moves the exponents; the principal
one is of ``total_parameters`` where reported. Variants ``optimal_size`` and ``optimal_length`` are the best N and D as
functions of ``compute``, C = 6·N·D. Lengths are tokens, or bytes where vocabularies differ.

Coefficients: ``E``, the loss that neither size nor length takes away; ``A``, ``alpha``, ``B``, ``beta``;
``size_exponent`` a = beta / (alpha + beta), which carries Chinchilla's claim of 0.5, and ``length_exponent`` b = 1 - a;
``tokens_per_parameter`` (or ``bytes_per_parameter``) of the best config at ``reference_compute``, the largest compute
in the data.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from studies.formulas.evaluation import bounded_exp
from studies.formulas.fitting.fit import Interval
from studies.formulas.formula import Coefficient, Formula, Verdict, latex_number
from studies.formulas.observations import FitContext, Observation, ranges
from studies.formulas.scaling.analysis import NAMES, Analysis, analyse
from studies.formulas.scaling.cells import Table, build_table, conventions, varies
from studies.formulas.scaling.evidence import evidence, points
from studies.formulas.scaling.forms import Floats
from studies.formulas.scaling.needs import Needs, needs
from studies.formulas.scaling.optimum import exponents, log_best
from studies.formulas.scaling.published import CLAIM, DOMAIN
from studies.formulas.scaling.variants import optimal_formulas
from studies.formulas.supply import more_trials
from studies.formulas.verdicts import LEVEL, Ground, coefficient, constant, further_trials, overlaps, position

KIND: Final = "scaling"
LOSS_METRICS = frozenset({"validation_loss", "bits_per_byte"})
DOMAIN_COLUMNS = ("learning_rate", "batch_tokens", "depth", "width", "vocabulary_size")


def fit_scaling(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Fit the law.

    Returns:
        Empty where the objective is no loss, or neither size nor length varies: the law does not apply.
    """
    names = conventions(observations)
    if context.metric not in LOSS_METRICS or context.direction != "minimize":
        return ()
    if not names or not varies(observations, names[0]):
        return ()
    formulas: list[Formula] = []
    for name in names:
        variant = "" if name == names[0] else name
        formulas += _of_convention(observations, context, name, variant)
    return formulas


def _of_convention(
    observations: Sequence[Observation], context: FitContext, name: str, variant: str
) -> Sequence[Formula]:
    table = build_table(observations, context, name)
    missing = needs(observations, table)
    if missing.fatal:
        return (_without_fit(observations, context, table, missing, variant),)
    analysis = analyse(table)
    formula = _formula(observations, context, analysis, missing, variant)
    return (formula, *([] if variant else optimal_formulas(formula, analysis, context)))


def _domain(observations: Sequence[Observation], table: Table) -> dict[str, tuple[float, float]]:
    """Ranges of what was fitted, and of what else the runs report."""
    domain = ranges(observations, DOMAIN_COLUMNS)
    if not table.cells:
        return domain
    sizes, lengths = [cell.size for cell in table.cells], [cell.length for cell in table.cells]
    own = {table.size_name: sizes, table.length_name: lengths, "compute": table.compute.tolist()}
    return {**domain, **{name: (min(values), max(values)) for name, values in own.items()}}


def _base(observations: Sequence[Observation], context: FitContext, table: Table, variant: str) -> dict[str, Any]:
    return {
        "id": context.formula_id(KIND, variant),
        "revision": context.revision,
        "kind": KIND,
        "variant": variant,
        "form": "additive",
        "studies": context.studies,
        "size_convention": table.size_name,
        "domain": _domain(observations, table),
        "held_out_unit": context.metric,
    }


def _without_fit(
    observations: Sequence[Observation], context: FitContext, table: Table, missing: Needs, variant: str
) -> Formula:
    """The law with its claim, no numbers, and what is missing."""
    verdict = Ground(context, False).verdict("across")
    unknown = Coefficient(estimate=None, low=None, high=None, level=LEVEL, paper=CLAIM, verdict=verdict)
    return Formula(
        **_base(observations, context, table, variant),
        statement=f"{context.metric} = E + A / N^alpha + B / D^beta, not determined",
        latex=r"L = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}",
        observations=sum(cell.runs for cell in table.cells),
        held_out_error=None,
        coefficients={"size_exponent": unknown},
        verdict=verdict,
        reasons=(*missing.reasons, *_remarks(table)),
        supply=missing.supply,
        evidence={
            "points": points(table, context),
            "curve": [],
            "residuals": [],
            "axes": ["compute", context.metric],
        },
    )


def _formula(
    observations: Sequence[Observation], context: FitContext, analysis: Analysis, missing: Needs, variant: str
) -> Formula:
    table, law = analysis.table, analysis.law
    base = _base(observations, context, table, variant)
    ground = Ground(context, overlaps(ranges(observations, tuple(DOMAIN)), DOMAIN))
    exponent = law.interval(lambda parameters: float(exponents(parameters)[0]))
    obstacles = (*missing.obstacles, *_bounds(analysis))
    place = "across" if obstacles else position(exponent, CLAIM.region)
    verdict = ground.verdict(place)
    runs = sum(cell.runs for cell in table.cells)
    return Formula(
        **base,
        expression=f"E + A / {table.size_name} ** alpha + B / {table.length_name} ** beta",
        statement=_statement(analysis, context),
        latex=_latex(analysis),
        observations=runs,
        held_out_error=analysis.rivals["additive"],
        coefficients=_coefficients(analysis, exponent, verdict, context),
        verdict=verdict,
        reasons=(*(obstacles or _decision(exponent, place, runs)), *_remarks(table)),
        supply=missing.supply if obstacles else _more(observations, exponent, place),
        evidence=evidence(analysis, context),
    )


def _bounds(analysis: Analysis) -> tuple[str, ...]:
    """Terms that the data do not show."""
    known = {
        "alpha": f"the loss hardly changes with {analysis.table.size_name}, or not as a power of it",
        "beta": f"the loss hardly changes with {analysis.table.length_name}, or not as a power of it",
    }
    ended = [name for name, at_bound in zip(NAMES, analysis.found.at_bound, strict=True) if at_bound and name in known]
    return tuple(f"{known[name]} ({name} ended at the end of what is allowed)" for name in ended)


def _decision(exponent: Interval, place: str, runs: int) -> tuple[str, ...]:
    said = f"the best size grows as compute to the {exponent.estimate:.3f} ({exponent.low:.3f} to {exponent.high:.3f})"
    if place != "across":
        return (f"{said}: {place} Chinchilla's region of {CLAIM.region[0]} to {CLAIM.region[1]}",)
    return (said, further_trials(exponent, CLAIM.region, runs))


def _more(observations: Sequence[Observation], exponent: Interval, place: str) -> dict[str, Any] | None:
    """As many trials as would bring the interval to one side of the nearest end of the region."""
    if place != "across":
        return None
    ends = [end for end in CLAIM.region if end is not None]
    return more_trials(observations, exponent, min(ends, key=lambda end: abs(end - exponent.estimate)))


def _coefficients(
    analysis: Analysis, exponent: Interval, verdict: Verdict, context: FitContext
) -> Mapping[str, Coefficient]:
    law, table = analysis.law, analysis.table
    unit = table.length_name.removeprefix("train_")
    level, first, alpha, second, beta = (law.interval(partial(_parameter, index)) for index in range(5))
    largest = float(table.compute.max())
    product = math.log(largest / law.compute_factor)
    ratio = law.interval(lambda parameters: float(np.diff(log_best(parameters, product))[0]))
    return {
        "E": coefficient(_exponential(level), context.metric),
        "A": coefficient(_exponential(first), f"{context.metric} × parameters^alpha"),
        "alpha": coefficient(alpha),
        "B": coefficient(_exponential(second), f"{context.metric} × {unit}^beta"),
        "beta": coefficient(beta),
        "size_exponent": coefficient(exponent, "1", CLAIM, verdict),
        "length_exponent": coefficient(Interval(1 - exponent.estimate, 1 - exponent.high, 1 - exponent.low)),
        f"{unit}_per_parameter": coefficient(_exponential(ratio), f"{unit} a parameter"),
        "reference_compute": constant(largest, "FLOPs"),
    }


def _parameter(index: int, parameters: Floats) -> float:
    return float(parameters[index])


def _exponential(log: Interval) -> Interval:
    return Interval(bounded_exp(log.estimate), bounded_exp(log.low), bounded_exp(log.high))


def _statement(analysis: Analysis, context: FitContext) -> str:
    level, first, alpha, second, beta = analysis.law.parameters
    size, length = analysis.table.size_name, analysis.table.length_name
    return (
        f"{context.metric} = {bounded_exp(level):.3f} + {bounded_exp(first):.4g} / {size}^{alpha:.3f} + "
        f"{bounded_exp(second):.4g} / {length}^{beta:.3f}"
    )


def _latex(analysis: Analysis) -> str:
    level, first, alpha, second, beta = analysis.law.parameters
    terms = (
        rf"\frac{{{latex_number(bounded_exp(log))}}}{{{x}^{{{power:.3f}}}}}"
        for log, x, power in ((first, "N", alpha), (second, "D", beta))
    )
    return f"L = {bounded_exp(level):.3f} + {' + '.join(terms)}"


def _remarks(table: Table) -> tuple[str, ...]:
    """What a reader should know about the data, whatever the verdict."""
    remarks = {
        f"{table.at_edge} pairs whose best rate lies beyond the tried ones were left out": table.at_edge,
        f"{table.enveloped} configs with a higher loss than another of the same size and length were left out": (
            table.enveloped
        ),
        "vocabularies differ: lengths are bytes of text": table.length_name == "train_bytes",
    }
    return tuple(remark for remark, applies in remarks.items() if applies)
