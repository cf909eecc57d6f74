"""The vocabulary: from the law where it is determined, else the best trial's, else the paper's rule."""

from model.config import MAX_VOCABULARY_SIZE
from studies.formulas.formula import Formula
from studies.recipe.basis import Basis
from studies.recipe.defaults import PAPER_EMBEDDING_SHARE, VOCABULARY_SIZES
from studies.recipe.fields.frame import default_depth, frame_of
from studies.recipe.fields.shape import hardware_unit
from studies.recipe.laws import VOCABULARY_KIND, interval_words, label, usable
from studies.recipe.recipe import RecipeField, default_field, derived_field, formula_field, outside, placed

BEST_VOCABULARY = "best_vocabulary"
"""Coefficient of a vocabulary law: where the metric is best."""
RULE_VOCABULARY = "rule_vocabulary"
"""Coefficient of a vocabulary law: what the paper's rule picks."""
VOCABULARY = "architecture.vocabulary_size"


def choose_vocabulary(basis: Basis, head_dim: int) -> RecipeField:
    """The vocabulary that the evidence gives, as a multiple of what hardware likes at the target's size."""
    return _padded(basis, _vocabulary(basis, head_dim))


def _vocabulary(basis: Basis, head_dim: int) -> RecipeField:
    """The law's where it is determined and near; else the best trial's, whose tokenizer the corpus is known to give;
    without one, the largest whose share is small.
    """
    law, reason = usable(basis.formulas, VOCABULARY_KIND, "", ("total_parameters",))
    if law is not None:
        return _vocabulary_of_law(basis, head_dim, law)
    if basis.number is not None:
        return basis.inherit(VOCABULARY, "" if "has no" in reason else reason)
    frames = (frame_of(basis, head_dim, size) for size in VOCABULARY_SIZES)
    fitting = (frame for frame in frames if frame.embedding_share(default_depth(frame)) < PAPER_EMBEDDING_SHARE)
    size = next((frame.vocabulary_size for frame in fitting), VOCABULARY_SIZES[-1])
    note = f"the largest of {', '.join(map(str, VOCABULARY_SIZES))} with a share below {PAPER_EMBEDDING_SHARE:.0%}"
    return default_field(VOCABULARY, size, "PanGu-π Pro, F1: PEHL < 20 %", note)


def _vocabulary_of_law(basis: Basis, head_dim: int, law: Formula) -> RecipeField:
    """Where the metric is best, if that is inside what was tried; else what the paper's rule picks.

    At another size a vocabulary is kept only while its tables take less than the rule allows; beyond, the largest that
    does is taken.
    """
    best, rule = law.coefficients.get(BEST_VOCABULARY), law.coefficients.get(RULE_VOCABULARY)
    chosen, words = (best, "the best vocabulary") if best and best.estimate else (rule, "the rule's vocabulary")
    if chosen is None or chosen.estimate is None:
        return basis.inherit(VOCABULARY, f"{label(law)} names neither a best vocabulary nor the rule's")
    size = min(max(round(chosen.estimate), 2), MAX_VOCABULARY_SIZE)
    beside = f"; the rule gives {rule.estimate:.0f}" if rule and rule.estimate and chosen is not rule else ""
    interval = "" if chosen.low is None and chosen.high is None else f" ({interval_words(chosen)})"
    where = placed(outside(basis.target.total_parameters, *law.domain["total_parameters"]), "its sizes")
    note = f"{words} is {size} tokens{interval}, {where}{beside}"
    frame = frame_of(basis, head_dim, size)
    share = frame.embedding_share(default_depth(frame))
    if share <= PAPER_EMBEDDING_SHARE or (chosen is best and basis.same_scale):
        return formula_field(VOCABULARY, size, law, note)
    note += f"; its tables would take {share:.0%}, more than F1 allows"
    return derived_field(VOCABULARY, _affordable(basis, head_dim, size), "total_parameters", note)


def _affordable(basis: Basis, head_dim: int, size: int) -> int:
    """The largest vocabulary up to ``size`` whose tables take no more than the paper's rule allows."""
    low, high = VOCABULARY_SIZES[-1], size
    while low < high:
        middle = (low + high + 1) // 2
        frame = frame_of(basis, head_dim, middle)
        fits = frame.embedding_share(default_depth(frame)) <= PAPER_EMBEDDING_SHARE
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _padded(basis: Basis, vocabulary: RecipeField) -> RecipeField:
    """The vocabulary as a multiple of what hardware likes, from the size on at which that pays."""
    unit = hardware_unit(basis.target.total_parameters)
    padded = -(-vocabulary.whole // unit) * unit
    if padded == vocabulary.whole:
        return vocabulary
    note = f"{vocabulary.whole} ({vocabulary.reference}) filled up to a multiple of {unit}"
    return derived_field(VOCABULARY, padded, "total_parameters", f"{note}; {vocabulary.note}".removesuffix("; "))
