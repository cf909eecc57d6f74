"""What a formula looks like: everything needed to judge it, draw it and evaluate it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from model.config import FrozenConfig, Parametrisation

FormulaKind = Literal["depth_width", "learning_rate_batch"]
Verdict = Literal[
    "recovered",
    "refuted",
    "agrees_at_this_scale",
    "differs_at_this_scale",
    "undetermined",
    "exploratory",
    "interim",
]
"""``recovered``/``refuted``: the interval lies inside/outside the paper's region and the domains overlap;
``agrees``/``differs_at_this_scale``: the same where they do not. ``exploratory``: fitted to adaptively chosen trials.
``interim``: the study is not finished."""


class PaperClaim(FrozenConfig):
    """The region that the paper's formula declares, fixed before any data are seen."""

    formula: str
    """Label in docs/paper.md, e.g. ``F5``."""
    region: tuple[float | None, float | None]
    """Lower and upper end; None is unbounded."""
    test: Literal["value", "sign", "order", "shape"]


class Coefficient(FrozenConfig):
    """One fitted number with its interval; None marks an open end or a number the data do not determine."""

    estimate: float | None
    low: float | None
    high: float | None
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95
    unit: str = "1"
    paper: PaperClaim | None = None
    verdict: Verdict | None = None


class Formula(FrozenConfig):
    """A law fitted to trials. The field names are part of the public interface."""

    id: str
    revision: Annotated[int, Field(ge=1)]
    kind: FormulaKind
    parametrisation: Parametrisation = "standard"
    """Of the trials that it was fitted to; a rate means something else under muP, so that the two are never mixed."""
    form: str
    statement: str
    latex: str
    studies: tuple[str, ...]
    size_convention: str
    observations: Annotated[int, Field(ge=0)]
    domain: dict[str, tuple[float, float]]
    """Range of each variable in the data; outside it the law is an extrapolation."""
    held_out_error: float | None
    """Error on groups left out of the fit, in ``held_out_unit``."""
    held_out_unit: str = "1"
    coefficients: dict[str, Coefficient]
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    """Why the verdict is what it is, and, when undetermined, the data that would decide."""
    evidence: dict[str, Any]
    """``points`` (what was fitted), ``curve`` (the law along its domain), ``residuals`` …"""


def latex_number(value: float) -> str:
    """Three significant digits, as LaTeX."""
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return rf"{mantissa}\times 10^{{{int(exponent)}}}" if exponent else mantissa
