"""Which recipes each export format can hold; light, so that a request is refused before anything is spent."""

from collections.abc import Mapping

from model.config import BlockKind
from model.errors import InvalidInput
from studies.recipe.recipe import Recipe

BLOCKS: Mapping[str, tuple[BlockKind, ...]] = {"formulary": ("llama", "pangu_pi"), "hf": ("llama",)}
"""Blocks that each format has a forward pass for; transformers knows no PanGu-π."""


def check_format(format: str, recipe: Recipe) -> None:
    """Check that a format is known and can hold a recipe.

    Raises:
        InvalidInput: names ``format`` and one that can.
    """
    if format not in BLOCKS:
        raise InvalidInput("format", f"{format!r} is not an export format", f"use one of {', '.join(sorted(BLOCKS))}")
    block = recipe.config.architecture.block
    if block not in BLOCKS[format]:
        able = next(name for name, blocks in BLOCKS.items() if block in blocks)
        reason = f"{format} has no class for the {block} blocks of this recipe"
        raise InvalidInput("format", reason, f"use the format {able}, which trains them, or a study of other blocks")
