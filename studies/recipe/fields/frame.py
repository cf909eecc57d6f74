"""What every shape of a target shares."""

from search.space.budget import Budget
from search.space.quantities import ParameterCount
from studies.recipe.basis import Basis
from studies.recipe.defaults import MIN_DEPTH, PAPER_ASPECT_RATIO, PAPER_FFN_RATIO
from studies.recipe.fields.shape import Frame

QK_NORM = "architecture.qk_norm"


def frame_of(basis: Basis, head_dim: int, vocabulary_size: int) -> Frame:
    """What every shape of the target shares."""
    architecture = basis.config.architecture
    return Frame(
        budget=Budget(ParameterCount(), basis.target.total_parameters, basis.tolerance),
        block=architecture.block,
        vocabulary_size=vocabulary_size,
        head_dim=head_dim,
        kv_heads=_key_heads(basis),
        tied_head=architecture.tied_head,
        qk_norm=bool(basis.of_parent.get(QK_NORM, architecture.qk_norm)),
        ffn_ratio=architecture.ffn_ratio if basis.same_scale else PAPER_FFN_RATIO,
    )


def _key_heads(basis: Basis) -> int:
    """The trials', or where the target names a parent the parent's; 0 where both are as many as query heads."""
    architecture = basis.models.given_parent or basis.config.architecture
    return 0 if architecture.kv_heads == architecture.heads else architecture.kv_heads


def default_depth(frame: Frame) -> int:
    """Layers at the paper's width / depth, and no fewer than were best where it was measured."""
    return max(frame.depth_at(PAPER_ASPECT_RATIO), MIN_DEPTH)
