"""Depth, width and what goes with them, at the target's budget of parameters."""

from model.config import MAX_VOCABULARY_SIZE
from search.space.budget import Budget
from search.space.quantities import ParameterCount
from studies.formulas.formula import Formula
from studies.recipe.basis import SAME_SCALE, Basis
from studies.recipe.decoding import DepthLimit, depth_limit
from studies.recipe.defaults import (
    HEAD_DIMS,
    MIN_DEPTH,
    PAPER_ASPECT_RATIO,
    PAPER_CONFIG,
    PAPER_EMBEDDING_SHARE,
    PAPER_FFN_RATIO,
    PAPER_SCALE,
    PAPER_SEQUENCE_LENGTH,
    VOCABULARY_SIZES,
)
from studies.recipe.laws import (
    DEPTH_KIND,
    GROWTH,
    VOCABULARY_KIND,
    DepthLaw,
    interval_words,
    label,
    usable,
    usable_depth_law,
    use,
)
from studies.recipe.optimization import is_near
from studies.recipe.recipe import (
    RecipeField,
    default_field,
    derived_field,
    figures,
    formula_field,
    outside,
    placed,
)
from studies.recipe.shape import Frame, Shape, hardware_unit

BEST_VOCABULARY = "best_vocabulary"
"""Coefficient of a vocabulary law: where the metric is best."""
RULE_VOCABULARY = "rule_vocabulary"
"""Coefficient of a vocabulary law: what the paper's rule picks."""
DEPTH = "architecture.depth"
HEAD_DIM = "architecture.head_dim"
SEQUENCE_LENGTH = "architecture.sequence_length"
VOCABULARY = "architecture.vocabulary_size"
INHERITED = (
    "architecture.block",
    "architecture.tied_head",
    "architecture.mask_documents",
    "architecture.rope_theta",
    "architecture.norm_eps",
    "architecture.qk_norm",
    "architecture.mup_base_width",
)


def choose_architecture(basis: Basis) -> list[RecipeField]:
    """Every leaf of the architecture.

    Raises:
        InvalidInput: no legal shape meets the budget.
    """
    head_dim = _head_dim(basis)
    vocabulary = _padded(basis, _vocabulary(basis, head_dim.whole))
    frame = frame_of(basis, head_dim.whole, vocabulary.whole)
    depth = _fast_enough(_depth(basis, frame), depth_limit(basis))
    shape = frame.solve_at_most(depth.whole)
    inherited = [basis.inherit(name) for name in INHERITED]
    return [vocabulary, _met(depth, shape), *_solved(frame, shape), head_dim, _sequence_length(basis), *inherited]


def _head_dim(basis: Basis) -> RecipeField:
    if basis.in_reach:
        return basis.inherit(HEAD_DIM)
    published = next(entry for entry in HEAD_DIMS if basis.target.total_parameters >= entry.from_parameters)
    return default_field(HEAD_DIM, published.value, published.reference)


def _sequence_length(basis: Basis) -> RecipeField:
    measured = basis.config.architecture.sequence_length
    if basis.in_reach or basis.target.total_parameters < PAPER_SCALE or measured >= PAPER_SEQUENCE_LENGTH:
        return basis.inherit(SEQUENCE_LENGTH)
    return default_field(SEQUENCE_LENGTH, PAPER_SEQUENCE_LENGTH, PAPER_CONFIG)


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
    fitting = (frame for frame in frames if frame.embedding_share(_default_depth(frame)) < PAPER_EMBEDDING_SHARE)
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
    share = frame.embedding_share(_default_depth(frame))
    if share <= PAPER_EMBEDDING_SHARE or (chosen is best and basis.same_scale):
        return formula_field(VOCABULARY, size, law, note)
    allowed = max(int(size * PAPER_EMBEDDING_SHARE / share), VOCABULARY_SIZES[-1])
    return derived_field(
        VOCABULARY, allowed, "total_parameters", f"{note}; its tables would take {share:.0%}, more than F1 allows"
    )


def _padded(basis: Basis, vocabulary: RecipeField) -> RecipeField:
    """The vocabulary as a multiple of what hardware likes, from the size on at which that pays."""
    unit = hardware_unit(basis.target.total_parameters)
    padded = -(-vocabulary.whole // unit) * unit
    if padded == vocabulary.whole:
        return vocabulary
    note = f"{vocabulary.whole} ({vocabulary.reference}) filled up to a multiple of {unit}"
    return derived_field(VOCABULARY, padded, "total_parameters", f"{note}; {vocabulary.note}".removesuffix("; "))


def frame_of(basis: Basis, head_dim: int, vocabulary_size: int) -> Frame:
    """What every shape of the target shares."""
    architecture = basis.config.architecture
    return Frame(
        budget=Budget(ParameterCount(), basis.target.total_parameters, basis.tolerance),
        block=architecture.block,
        vocabulary_size=vocabulary_size,
        head_dim=head_dim,
        kv_heads=0 if architecture.kv_heads == architecture.heads else architecture.kv_heads,
        tied_head=architecture.tied_head,
        qk_norm=architecture.qk_norm,
        ffn_ratio=architecture.ffn_ratio if basis.same_scale else PAPER_FFN_RATIO,
    )


def _depth(basis: Basis, frame: Frame) -> RecipeField:
    """The law of the best depth over N if it is determined and near; the best depth of a decided depth law; the best
    trial's at its own size; else the paper's aspect ratio.
    """
    growth, said = usable(basis.formulas, DEPTH_KIND, GROWTH, ("total_parameters",))
    if growth is not None:
        found = use(growth, {"total_parameters": float(basis.target.total_parameters)})
        if is_near(found):
            note = f"best depth {figures(found.value.estimate)} ({found.interval}), {found.where}"
            return formula_field(DEPTH, max(round(found.value.estimate), 1), growth, note)
        said = f"{label(growth)} is not used: {found.where}"
    law, reason = usable_depth_law(basis.formulas)
    if law is not None:
        return _depth_of_law(basis, frame, law)
    reason = f"{said}; {reason}" if growth is not None else reason
    if basis.same_scale:
        return basis.inherit(DEPTH, f"{reason}; the target is the study's own size")
    note = f"{reason}; width / depth = {figures(PAPER_ASPECT_RATIO)}, and at least {MIN_DEPTH} layers"
    return default_field(DEPTH, _default_depth(frame), PAPER_CONFIG, note)


def _fast_enough(depth: RecipeField, limit: DepthLimit | None) -> RecipeField:
    """The depth, or the deepest that decodes fast enough; what is not known of its speed is added to its note."""
    if limit is None:
        return depth
    if limit.depth is None or limit.depth >= depth.whole:
        return depth.model_copy(update={"note": f"{depth.note}; {limit.note}".removeprefix("; ")})
    note = f"{limit.note}; {depth.whole} layers ({depth.reference}) would be slower"
    return derived_field(DEPTH, limit.depth, "decode_tokens_per_second", note)


def _default_depth(frame: Frame) -> int:
    return max(frame.depth_at(PAPER_ASPECT_RATIO), MIN_DEPTH)


def _depth_of_law(basis: Basis, frame: Frame, law: DepthLaw) -> RecipeField:
    """The law's best depth at its own size; elsewhere its aspect ratio there is kept (assumed)."""
    target = basis.target.total_parameters
    if law.distance(target) <= SAME_SCALE:
        note = f"best depth {figures(law.depth)} ({law.interval}) at the size of the law's trials"
        return formula_field(DEPTH, max(round(law.depth), 1), law.formula, note)
    size = law.size_nearest(target)
    aspect_ratio = frame.at_budget(size).aspect_ratio(law.depth)
    note = (
        f"best depth {figures(law.depth)} ({law.interval}) at {figures(size)} parameters, extrapolated "
        f"×{figures(law.distance(target))} in N at its width / depth of {figures(aspect_ratio)}"
    )
    return formula_field(DEPTH, frame.depth_at(aspect_ratio), law.formula, note)


def _met(depth: RecipeField, shape: Shape) -> RecipeField:
    """The depth that was asked for, or the smaller one that the budget allows."""
    if shape.depth == depth.whole:
        return depth
    note = f"{depth.whole} layers ({depth.reference}) have no legal width at this budget"
    return derived_field(DEPTH, shape.depth, "total_parameters", note)


def _solved(frame: Frame, shape: Shape) -> list[RecipeField]:
    heads = shape.width // frame.head_dim
    realised = shape.ffn_width / shape.width
    ratio_note = f"takes the remainder: ratio {figures(realised)}, {figures(frame.ffn_ratio)} was asked for"
    return [
        derived_field("architecture.width", shape.width, "total_parameters", "solved for the budget in whole heads"),
        derived_field("architecture.ffn_width", shape.ffn_width, "total_parameters", ratio_note),
        derived_field("architecture.kv_heads", frame.kv_heads or heads, "width, head_dim", f"{heads} query heads"),
    ]
