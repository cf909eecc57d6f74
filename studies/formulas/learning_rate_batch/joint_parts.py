"""What the joint laws share as formulas: their powers of N and D in every notation, and the parts that are alike."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from studies.formulas.evaluation import bounded_exp
from studies.formulas.fitting.fit import Fit, Interval
from studies.formulas.formula import Coefficient, Formula, latex_number
from studies.formulas.learning_rate_batch.joint_table import LENGTH, JointTable
from studies.formulas.observations import FitContext
from studies.formulas.verdicts import LEVEL, Ground, coefficient, constant

KIND: Final = "learning_rate_batch"
EXPONENTS: Mapping[str, str] = {"non_embedding_parameters": "a", "total_parameters": "a", LENGTH: "b"}
"""Coefficient of each variable of lr* = c·N^a·D^b."""
SYMBOLS: Mapping[str, str] = {"non_embedding_parameters": "N", "total_parameters": "N", LENGTH: "D"}
UNITS: Mapping[str, str] = {
    "non_embedding_parameters": "parameters",
    "total_parameters": "parameters",
    LENGTH: "tokens",
}
NO_CLAIM = "the paper claims nothing about this law"
CURVE_POINTS = 25


@dataclass(frozen=True, slots=True)
class Request:
    """Where a joint law comes from."""

    context: FitContext
    domain: Mapping[str, tuple[float, float]]
    suffix: str
    """Of the variant: empty, or the parameter count of a second law."""


@dataclass(frozen=True, slots=True)
class Law:
    """A law as it is written."""

    form: str
    expression: str
    statement: str
    latex: str
    coefficients: dict[str, Coefficient]


@dataclass(frozen=True, slots=True)
class Terms:
    """The powers of N and D, to be multiplied onto a coefficient."""

    expression: str
    statement: str
    latex: str


def size_terms(table: JointTable, exponents: Mapping[str, float]) -> Terms:
    """(N / reference)^a · (D / reference)^b, of those that vary.

    Args:
        table: has the references.
        exponents: by variable.
    """
    powers = [(name, table.references[name], exponents[name]) for name in table.varied]
    return Terms(
        "".join(f" * ({name} / reference_{name}) ** {EXPONENTS[name]}" for name, _, _ in powers),
        "".join(f"·({SYMBOLS[name]}/{of:.2g})^{power:.2f}" for name, of, power in powers),
        "".join(
            rf"\left(\frac{{{SYMBOLS[name]}}}{{{latex_number(of)}}}\right)^{{{power:.2f}}}"
            for name, of, power in powers
        ),
    )


def reference_coefficients(table: JointTable, names: Sequence[str]) -> dict[str, Coefficient]:
    """The constants about which a law was fitted."""
    return {f"reference_{name}": constant(table.references[name], UNITS.get(name, "tokens")) for name in names}


def parameter(fitted: Fit, index: int, unit: str = "1") -> Coefficient:
    """One parameter with its interval."""
    return coefficient(fitted.interval(np.eye(fitted.means.shape[1])[index], LEVEL), unit)


def exponential(fitted: Fit, index: int, unit: str, factor: float = 1.0) -> Coefficient:
    """The exponential of one parameter, with its interval, times a constant."""
    found = fitted.interval(np.eye(fitted.means.shape[1])[index], LEVEL)
    ends = (factor * bounded_exp(end) for end in (found.estimate, found.low, found.high))
    return coefficient(Interval(*ends), unit)


def build(
    request: Request,
    variant: str,
    law: Law,
    evidence: dict[str, Any],
    *,
    size_name: str,
    observations: int,
    held_out: tuple[float | None, str],
    reasons: Sequence[str],
    supply: dict[str, Any] | None = None,
) -> Formula:
    """The formula of one variant; without an expression it has no numbers."""
    name = variant + request.suffix
    return Formula(
        id=request.context.formula_id(KIND, name),
        revision=request.context.revision,
        kind=KIND,
        variant=name,
        form=law.form,
        expression=law.expression,
        statement=law.statement,
        latex=law.latex,
        studies=request.context.studies,
        size_convention=size_name,
        observations=observations,
        domain=dict(request.domain),
        held_out_error=held_out[0],
        held_out_unit=held_out[1],
        coefficients=law.coefficients,
        verdict=Ground(request.context, False).verdict("unclaimed" if law.expression else "across"),
        reasons=tuple(reasons),
        supply=supply,
        evidence=evidence,
    )


def half_interval(variance: float) -> float:
    """Half-width of the 95 % interval of a normal error."""
    return 1.96 * math.sqrt(max(variance, 0.0))
