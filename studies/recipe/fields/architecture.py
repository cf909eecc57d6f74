"""Depth, width and what goes with them, at the target's budget of parameters."""

from studies.recipe.basis import Basis
from studies.recipe.defaults import HEAD_DIMS, PAPER_CONFIG, PAPER_SCALE, PAPER_SEQUENCE_LENGTH
from studies.recipe.fields.depth import DEPTH, choose_depth
from studies.recipe.fields.frame import frame_of
from studies.recipe.fields.shape import Frame, Shape
from studies.recipe.fields.vocabulary import choose_vocabulary
from studies.recipe.recipe import RecipeField, default_field, derived_field, figures

HEAD_DIM = "architecture.head_dim"
SEQUENCE_LENGTH = "architecture.sequence_length"
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
    vocabulary = choose_vocabulary(basis, head_dim.whole)
    frame = frame_of(basis, head_dim.whole, vocabulary.whole)
    depth = choose_depth(basis, frame)
    shape = frame.solve_at_most(depth.whole)
    inherited = [basis.inherit(name) for name in INHERITED]
    return [vocabulary, _met(depth, shape), *_solved(frame, shape), head_dim, _sequence_length(basis), *inherited]


def _head_dim(basis: Basis) -> RecipeField:
    if basis.in_reach or HEAD_DIM in basis.of_parent:
        return basis.inherit(HEAD_DIM)
    published = next(entry for entry in HEAD_DIMS if basis.target.total_parameters >= entry.from_parameters)
    return default_field(HEAD_DIM, published.value, published.reference)


def _sequence_length(basis: Basis) -> RecipeField:
    measured = basis.config.architecture.sequence_length
    if basis.in_reach or basis.target.total_parameters < PAPER_SCALE or measured >= PAPER_SEQUENCE_LENGTH:
        return basis.inherit(SEQUENCE_LENGTH)
    return default_field(SEQUENCE_LENGTH, PAPER_SEQUENCE_LENGTH, PAPER_CONFIG)


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
