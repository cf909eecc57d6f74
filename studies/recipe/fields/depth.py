"""The depth: from laws where they are determined and near, else measured, else the paper's aspect ratio."""

from studies.recipe.basis import SAME_SCALE, Basis
from studies.recipe.defaults import MIN_DEPTH, PAPER_ASPECT_RATIO, PAPER_CONFIG
from studies.recipe.fields.decoding import DepthLimit, depth_limit
from studies.recipe.fields.frame import default_depth
from studies.recipe.fields.shape import Frame
from studies.recipe.laws import (
    DEPTH_KIND,
    GROWTH,
    KNEE,
    KNEE_DEPTH,
    DepthLaw,
    Use,
    ask,
    interval_words,
    label,
    newest,
    usable_depth_law,
)
from studies.recipe.recipe import RecipeField, default_field, derived_field, figures, formula_field

DEPTH = "architecture.depth"


def choose_depth(basis: Basis, frame: Frame) -> RecipeField:
    """The depth that the evidence gives, or the deepest that decodes fast enough.

    Raises:
        InvalidInput: no depth decodes fast enough; names ``decode_tokens_per_second``.
    """
    return _fast_enough(_depth(basis, frame), depth_limit(basis))


def _depth(basis: Basis, frame: Frame) -> RecipeField:
    """The law of the best depth over N if it is determined and near; the best depth of a decided depth law; the best
    trial's at its own size; else the paper's aspect ratio.
    """
    found, said = growth_of_depth(basis, frame)
    if found is not None:
        note = f"best depth {figures(found.value.estimate)} ({found.interval}), {found.where}{_knee_words(basis)}"
        return formula_field(DEPTH, max(round(found.value.estimate), 1), found.formula, note)
    law, reason = usable_depth_law(basis.formulas)
    if law is not None:
        return _depth_of_law(basis, frame, law)
    if newest(basis.formulas, DEPTH_KIND, GROWTH) is not None:
        reason = f"{said}; {reason}"
    if basis.same_scale:
        return basis.inherit(DEPTH, f"{reason}; the target is the study's own size")
    note = f"{reason}; width / depth = {figures(PAPER_ASPECT_RATIO)}, and at least {MIN_DEPTH} layers"
    return default_field(DEPTH, default_depth(frame), PAPER_CONFIG, note)


def growth_of_depth(basis: Basis, frame: Frame) -> tuple[Use | None, str]:
    """The law of the best depth over N at the target; or None and why it is not used."""
    total = float(basis.target.total_parameters)
    share = frame.embedding_share(default_depth(frame))
    point = {"total_parameters": total, "non_embedding_parameters": max(1 - share, 0.0) * total or 1.0}
    return ask(basis, DEPTH_KIND, GROWTH, point)


def _knee_words(basis: Basis) -> str:
    """Where the front of loss and decoding speed bends, for the reader to judge; empty where no law says."""
    law = newest(basis.formulas, DEPTH_KIND, KNEE)
    knee = law.coefficients.get(KNEE_DEPTH) if law else None
    if law is None or knee is None or knee.estimate is None:
        return ""
    words = f"{figures(knee.estimate)} layers ({interval_words(knee)})"
    return f"; the front of loss and speed bends at {words} by {label(law)}"


def _fast_enough(depth: RecipeField, limit: DepthLimit | None) -> RecipeField:
    """The depth, or the deepest that decodes fast enough; what is not known of its speed is added to its note."""
    if limit is None:
        return depth
    if limit.depth is None or limit.depth >= depth.whole:
        return depth.model_copy(update={"note": f"{depth.note}; {limit.note}".removeprefix("; ")})
    note = f"{limit.note}; {depth.whole} layers ({depth.reference}) would be slower"
    return derived_field(DEPTH, limit.depth, "decode_tokens_per_second", note)


def _depth_of_law(basis: Basis, frame: Frame, law: DepthLaw) -> RecipeField:
    """The law's best depth at its own size; elsewhere its aspect ratio there is kept (assumed)."""
    target = basis.target.total_parameters
    if law.distance(target) <= SAME_SCALE:
        note = f"best depth {figures(law.depth)} ({law.interval}) at the size of the law's trials{_knee_words(basis)}"
        return formula_field(DEPTH, max(round(law.depth), 1), law.formula, note)
    size = law.size_nearest(target)
    aspect_ratio = frame.at_budget(size).aspect_ratio(law.depth)
    note = (
        f"best depth {figures(law.depth)} ({law.interval}) at {figures(size)} parameters, extrapolated "
        f"×{figures(law.distance(target))} in N at its width / depth of {figures(aspect_ratio)}"
    )
    return formula_field(DEPTH, frame.depth_at(aspect_ratio), law.formula, note)
