"""What inheriting costs beside the parent's training, in FLOPs; no torch."""

from model.config import ArchitectureConfig
from model.counts import forward_flops_per_token, training_flops_per_token
from model.inheritance.layers import MAX_SKIPPED
from trainer.inheritance.config import InheritanceConfig, NeuronMethod

MICRO_BATCH_TOKENS = 4096
"""Tokens of one forward pass of a parent (measured for training on a CPU in ``trainer.execution``; assumed here)."""
Place = tuple[int, int]
"""How many layers are left out, and the first of them."""


def variants(depth: int) -> list[Place]:
    """All places in a network of ``depth`` layers, of which at least one stays."""
    most = min(MAX_SKIPPED, depth - 1)
    return [(count, first) for count in range(1, most + 1) for first in range(depth - count + 1)]


def importance_flops_per_token(config: ArchitectureConfig) -> float:
    """Floating-point operations of one pass over all variants, per token (``model.counts``; derived)."""
    head = 2 * config.vocabulary_size * config.width
    layer = (forward_flops_per_token(config) - head) / config.depth
    places = variants(config.depth)
    layers = config.depth + sum(config.depth - first - count for count, first in places)
    return layers * layer + (1 + len(places)) * head


def choosing_flops(
    how: InheritanceConfig, parent: ArchitectureConfig, student: ArchitectureConfig, bytes_per_token: float
) -> float:
    """Of all that chooses what a student keeps, about: where a token of the parent stands for so many bytes."""
    shape = parent.model_copy(update={"sequence_length": student.sequence_length})
    text_tokens = round(how.calibration_bytes / bytes_per_token)
    table = text_tokens * importance_flops_per_token(shape) if how.layers == "importance" else 0.0
    return table + score_flops(shape, how.neurons, student.depth, text_tokens, how.mask_steps * MICRO_BATCH_TOKENS)


def score_flops(
    parent: ArchitectureConfig, method: NeuronMethod, kept_layers: int, text_tokens: int, mask_tokens: int
) -> float:
    """Of judging units on text, counted as training steps of the kept layers (derived).

    Args:
        parent: at the length of the text's windows.
        method: those that read weights alone cost nothing.
        kept_layers: of the parent.
        text_tokens: of the calibration text.
        mask_tokens: of all steps that train a mask.
    """
    tokens = {"taylor": text_tokens, "learned_mask": mask_tokens}.get(method, 0)
    return tokens * training_flops_per_token(parent.model_copy(update={"depth": kept_layers}))
