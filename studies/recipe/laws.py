"""Fitted laws as a recipe may use them: determined ones only, evaluated from what the formula itself states."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studies.formulas.evaluation import Evaluation, evaluate
from studies.formulas.expression import names_of
from studies.formulas.formula import Coefficient, Formula, FormulaKind
from studies.recipe.basis import REACH, Basis
from studies.recipe.evidence import Leaf
from studies.recipe.recipe import STATED_BY, figures, outside, placed

DECIDED = frozenset({"recovered", "refuted", "agrees_at_this_scale", "differs_at_this_scale", "determined"})
"""Verdicts whose interval determines the law, whether or not it is the paper's."""
RATE_KIND: FormulaKind = "learning_rate_batch"
DEPTH_KIND: FormulaKind = "depth_width"
VOCABULARY_KIND: FormulaKind = "vocabulary"
SCALING_KIND: FormulaKind = "scaling"
INITIALIZATION_KIND: FormulaKind = "initialization"
INHERITANCE_KIND: FormulaKind = "inheritance"
ROUNDS_KIND: FormulaKind = "multiple_rounds"
JOINT_RATE = "joint_rate"
"""lr*(N, D, B): it holds at any batch, so that a capped one is no exception."""
BEST_BATCH = "best_batch"
"""B*(D)."""
OPTIMAL_SIZE, OPTIMAL_LENGTH = "optimal_size", "optimal_length"
"""Of the scaling law: N and D at which a compute of 6·N·D gives the lowest loss."""
GROWTH = "growth"
"""Best depth over N."""
KNEE = "knee"
"""Depth at the knee of loss and decoding speed."""
KNEE_DEPTH = "knee_depth"
"""Coefficient of the knee."""
BEST_DEPTH = "best_depth"
"""Coefficient of a depth law; it has an estimate where the best depth lies inside the depths tried."""
BATCH_REACH = 4.0
"""(assumed) How far outside its batches a law may be evaluated. Above the noise scale the power law bends
(arXiv 1812.06162), so a long extension is wrong in a known direction."""
REACHES: Mapping[str, float] = {"batch_tokens": BATCH_REACH}
"""By variable; that of the others is ``REACH``."""
SIZES = ("total_parameters", "non_embedding_parameters")
ALIKE: Mapping[str, Sequence[str]] = {"total_parameters": SIZES}
"""A size may be known by either count."""


@dataclass(frozen=True, slots=True)
class Use:
    """A law at the point where a recipe asks it."""

    formula: Formula
    value: Evaluation
    distances: Mapping[str, float]
    """How many times each variable lies outside the law's data; 1 inside."""

    @property
    def where(self) -> str:
        """The distances in words."""
        return ", ".join(placed(distance, WORDS.get(name, f"its {name}")) for name, distance in self.distances.items())

    @property
    def interval(self) -> str:
        """The value's interval in words."""
        return f"{figures(self.value.low)} to {figures(self.value.high)}"


WORDS: Mapping[str, str] = {
    "batch_tokens": "its batches",
    "total_parameters": "its sizes",
    "non_embedding_parameters": "its sizes",
    "train_tokens": "its lengths",
}


@dataclass(frozen=True, slots=True)
class DepthLaw:
    """A decided law of the objective over depth at an equal budget, with its best depth."""

    formula: Formula
    depth: float
    """The best depth, real."""
    best: Coefficient

    @property
    def interval(self) -> str:
        """Where the best depth lies, for a note; an end that the data leave open is called so."""
        return interval_words(self.best)

    def size_nearest(self, total_parameters: float) -> float:
        """The size inside the law's domain that is nearest to a target."""
        low, high = self.formula.domain["total_parameters"]
        return min(max(total_parameters, low), high)

    def distance(self, total_parameters: float) -> float:
        """How many times a size lies outside the law's domain; 1 inside."""
        return outside(total_parameters, *self.formula.domain["total_parameters"])


def usable_depth_law(formulas: Sequence[Formula]) -> tuple[DepthLaw | None, str]:
    """The decided depth law with a best depth, or None and why there is none."""
    formula, reason = usable(formulas, DEPTH_KIND, "", ("total_parameters",))
    if formula is None:
        return None, reason + _quoted_depth(formulas)
    best = formula.coefficients.get(BEST_DEPTH)
    if best is None or best.estimate is None:
        return None, f"{label(formula)} has no best depth inside the depths tried and is not used"
    return DepthLaw(formula, best.estimate, best), ""


def _quoted_depth(formulas: Sequence[Formula]) -> str:
    """The best depth that an undecided law names, for the reader to judge."""
    latest = newest(formulas, DEPTH_KIND)
    best = latest.coefficients.get(BEST_DEPTH) if latest else None
    if best is None or best.estimate is None:
        return ""
    return f" (it names {best.estimate:.3g} layers, {interval_words(best)})"


def newest(formulas: Sequence[Formula], kind: FormulaKind, variant: str = "") -> Formula | None:
    """The newest formula of a kind and variant, None where there is none."""
    known = [formula for formula in formulas if (formula.kind, formula.variant) == (kind, variant)]
    return max(known, key=lambda formula: formula.revision, default=None)


def usable(
    formulas: Sequence[Formula], kind: FormulaKind, variant: str = "", variables: Sequence[str] = ()
) -> tuple[Formula | None, str]:
    """The newest law of a kind and variant if it is determined and its domain knows ``variables``; else None and why.

    Laws from trials that were chosen by outcome, or are not all there, are not used.
    """
    found = newest(formulas, kind, variant)
    name = f"{kind} {variant}".strip()
    if found is None:
        return None, f"the study has no {name} law"
    if found.verdict not in DECIDED:
        return None, f"{label(found)} is {found.verdict} and not used"
    if variant and not found.expression:
        return None, f"{label(found)} has no fitted numbers and is not used"
    missing = [variable for variable in variables if found.domain.keys().isdisjoint(ALIKE.get(variable, (variable,)))]
    if missing:
        return None, f"{label(found)} does not say at which {missing[0]} it was measured and is not used"
    return found, ""


def ask(
    basis: Basis, kind: FormulaKind, variant: str, point: Mapping[str, float], variables: Sequence[str] = ()
) -> tuple[Use | None, str]:
    """The law of a kind and variant at a point, if it is determined and the point in its reach; else None and why."""
    law, reason = usable(basis.formulas, kind, variant, variables)
    if law is None:
        return None, reason
    unknown = names_of(law.expression) - law.coefficients.keys() - point.keys()
    if unknown:
        return None, f"{label(law)} is not used: it needs {sorted(unknown)[0]}, which the target does not say"
    found = use(law, point)
    if any(distance > REACHES.get(name, REACH) for name, distance in found.distances.items()):
        return None, f"{label(law)} is not used: {found.where}"
    return found, ""


@dataclass(frozen=True, slots=True)
class Winner:
    """The method that a decided comparison recommends."""

    formula: Formula
    parameters: Mapping[str, Leaf]
    """Values of the compared parameters, by their standard names."""
    note: str


def winner(basis: Basis, kind: FormulaKind) -> tuple[Winner | None, str]:
    """The winner of a comparison if it is decided, has one, and is near the target; else None and why."""
    law, reason = usable(basis.formulas, kind)
    if law is None:
        return None, reason
    won = law.evidence.get("winner")
    if won is None:
        return None, f"{label(law)} ({law.verdict}) names no method that is to be preferred to all others"
    distance = outside(basis.target.total_parameters, *law.domain.get("total_parameters", (0.0, math.inf)))
    where = placed(distance, WORDS["total_parameters"])
    if distance > REACH:
        return None, f"{label(law)} is not used: {where}"
    return Winner(law, won["parameters"], f"{won['method']}, {where}: {law.statement}"), ""


def use(formula: Formula, point: Mapping[str, float]) -> Use:
    """Evaluate a law at those variables of ``point`` that it reads; its size counts as a distance in any case.

    Raises:
        InvalidInput: the law reads a variable that the point lacks.
    """
    read = names_of(formula.expression)
    variables = {name: value for name, value in point.items() if name in read}
    sizes = read.intersection(SIZES) or {next((name for name in SIZES if name in formula.domain), SIZES[0])}
    measured = [name for name in point if name in formula.domain and name in read | sizes]
    distances = {name: outside(point[name], *formula.domain[name]) for name in measured}
    return Use(formula, evaluate(formula, variables), distances)


def knows_size(formula: Formula) -> bool:
    """Whether a law's value moves with the number of parameters."""
    return bool(formula.expression) and not names_of(formula.expression).isdisjoint(SIZES)


def label(formula: Formula) -> str:
    """A formula as a sentence names it."""
    if STATED_BY in formula.evidence:
        return f"the law of {formula.evidence[STATED_BY]}"
    name = f"{formula.kind} {formula.variant}".strip()
    return f"the law {name} {formula.id} (revision {formula.revision})"


def interval_words(coefficient: Coefficient) -> str:
    """An interval in words, e.g. ``95% interval 4.2 to open``."""
    ends = ("open" if end is None else f"{end:.3g}" for end in (coefficient.low, coefficient.high))
    return f"{coefficient.level:.0%} interval {' to '.join(ends)}"
