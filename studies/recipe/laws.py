"""Fitted laws as a recipe may use them: decided ones only, evaluated from what the formula itself states."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.formulas.evaluation import evaluate
from studies.formulas.formula import Coefficient, Formula, FormulaKind, principal
from studies.recipe.recipe import outside

DECIDED = frozenset({"recovered", "refuted", "agrees_at_this_scale", "differs_at_this_scale"})
"""Verdicts whose interval determines the law, whether or not it is the paper's."""
RATE_KIND: FormulaKind = "learning_rate_batch"
DEPTH_KIND: FormulaKind = "depth_width"
BEST_DEPTH = "best_depth"
"""Coefficient of a depth law; it has an estimate where the best depth lies inside the depths tried."""


@dataclass(frozen=True, slots=True)
class BatchLaw:
    """A decided law of the best learning rate over the batch."""

    formula: Formula

    def rate(self, batch_tokens: float) -> float:
        """Best peak rate at a batch, in three figures."""
        return float(f"{evaluate(self.formula, {'batch_tokens': batch_tokens}).estimate:.3g}")

    def distance(self, batch_tokens: float) -> float:
        """How many times a batch lies outside the law's batches; 1 inside."""
        return outside(batch_tokens, *self.formula.domain["batch_tokens"])

    def size_distance(self, total_parameters: float) -> float:
        """How many times a size lies outside the law's trials; 1 inside."""
        return outside(total_parameters, *self.formula.domain["total_parameters"])


@dataclass(frozen=True, slots=True)
class DepthLaw:
    """A decided law of the objective over depth at an equal budget, with its best depth."""

    formula: Formula
    depth: float
    """The best depth, real."""
    interval: str
    """Where it lies, for a note; an end that the data leave open is called so."""

    def size_nearest(self, total_parameters: float) -> float:
        """The size inside the law's domain that is nearest to a target."""
        low, high = self.formula.domain["total_parameters"]
        return min(max(total_parameters, low), high)

    def distance(self, total_parameters: float) -> float:
        """How many times a size lies outside the law's domain; 1 inside."""
        return outside(total_parameters, *self.formula.domain["total_parameters"])


def usable_batch_law(formulas: Sequence[Formula]) -> tuple[BatchLaw | None, str]:
    """The decided learning rate × batch law, or None and why there is none."""
    formula, reason = _decided(formulas, RATE_KIND, ("batch_tokens", "total_parameters"))
    return (None, reason) if formula is None else (BatchLaw(formula), "")


def usable_depth_law(formulas: Sequence[Formula]) -> tuple[DepthLaw | None, str]:
    """The decided depth law with a best depth, or None and why there is none."""
    formula, reason = _decided(formulas, DEPTH_KIND, ("total_parameters",))
    if formula is None:
        return None, reason + _quoted_depth(formulas)
    best = formula.coefficients.get(BEST_DEPTH)
    if best is None or best.estimate is None:
        return None, f"{label(formula)} has no best depth inside the depths tried and is not used"
    return DepthLaw(formula, best.estimate, _interval(best)), ""


def _quoted_depth(formulas: Sequence[Formula]) -> str:
    """The best depth that an undecided law names, for the reader to judge."""
    latest = principal(formulas, DEPTH_KIND)
    best = latest.coefficients.get(BEST_DEPTH) if latest else None
    if best is None or best.estimate is None:
        return ""
    return f" (it names {best.estimate:.3g} layers, {_interval(best)})"


def label(formula: Formula) -> str:
    """A formula as a sentence names it."""
    return f"the law {formula.kind} {formula.id} (revision {formula.revision})"


def _interval(coefficient: Coefficient) -> str:
    ends = ("open" if end is None else f"{end:.3g}" for end in (coefficient.low, coefficient.high))
    return f"{coefficient.level:.0%} interval {' to '.join(ends)}"


def _decided(formulas: Sequence[Formula], kind: FormulaKind, variables: tuple[str, ...]) -> tuple[Formula | None, str]:
    """The latest revision of a law, if its verdict is decided and its domain knows ``variables``."""
    latest = principal(formulas, kind)
    if latest is None:
        return None, f"the study has no {kind} law"
    if latest.verdict not in DECIDED:
        return None, f"{label(latest)} is {latest.verdict} and not used"
    missing = [name for name in variables if name not in latest.domain]
    if missing:
        return None, f"{label(latest)} does not say at which {missing[0]} it was measured and is not used"
    return latest, ""
