"""What a formula looks like: everything needed to judge it, draw it and evaluate it."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from model.config import FrozenConfig, Parametrisation
from search.events import Value

FormulaKind = Literal[
    "vocabulary",
    "depth_width",
    "initialization",
    "inheritance",
    "learning_rate_batch",
    "multiple_rounds",
    "scaling",
    "shrink",
]
Verdict = Literal[
    "recovered",
    "refuted",
    "agrees_at_this_scale",
    "differs_at_this_scale",
    "determined",
    "undetermined",
    "exploratory",
    "interim",
]
"""``recovered``/``refuted``: the interval lies inside/outside the paper's region and the domains overlap;
``agrees``/``differs_at_this_scale``: the same where they do not. ``determined``: it has numbers, and nobody claims any.
``undetermined``: the data do not decide. ``exploratory``: fitted to adaptively chosen trials.
``interim``: the study is not finished."""


class PaperClaim(FrozenConfig):
    """The region that a published formula declares, fixed before any data are seen."""

    formula: str
    """Label in docs/paper.md, e.g. ``F5``, or the name of another published law, e.g. ``Chinchilla``."""
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
    regime: dict[str, Value] = Field(default_factory=dict)
    """How all its trials were trained: ``regimes.NAMES`` as far as they are known. Elsewhere it does not hold."""
    variant: str = ""
    """Which law of its kind, e.g. ``joint_rate``; empty for the principal one, which recipes and starts take."""
    form: str
    expression: str = ""
    """The value in Python's notation, of its coefficients, its variables and ``exp log log2 max min``; empty where
    nothing was fitted. A covariate that is not given is at its ``reference_`` coefficient."""
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
    supply: dict[str, Any] | None = None
    """What would decide an undetermined law, as changes to the study's spec (a JSON merge patch, RFC 7396)."""
    evidence: dict[str, Any]
    """``points`` (what was fitted), ``curve`` (the law along its domain), ``residuals``, ``axes`` (names of x and y),
    ``covariance`` (see ``evaluation``) …"""


def principal(formulas: Iterable[Formula], kind: FormulaKind) -> Formula | None:
    """The newest principal formula of a kind, None where there is none."""
    known = (formula for formula in formulas if formula.kind == kind and not formula.variant)
    return max(known, key=lambda formula: formula.revision, default=None)


def latex_number(value: float) -> str:
    """Three significant digits, as LaTeX."""
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return rf"{mantissa}\times 10^{{{int(exponent)}}}" if exponent else mantissa
