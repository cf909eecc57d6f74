"""What a run is told about inheriting its initial weights; no torch."""

from typing import Annotated, Literal

from pydantic import Field

from model.config import FrozenConfig
from model.inheritance.layers import LayerMethod as LayerMethod

NeuronMethod = Literal["random", "l1", "l2", "taylor", "learned_mask"]
"""How channels and heads of the parent are chosen (arXiv 2402.02791, F4)."""
InheritMethod = Literal["none", "random", "l1", "l2", "taylor", "learned_mask"]
"""``none`` inherits nothing: the weights are drawn, as without a parent."""


class InheritanceSettings(FrozenConfig):
    """How weights are inherited, whatever the parent."""

    layers: LayerMethod = "importance"
    neurons: NeuronMethod = "learned_mask"
    calibration_bytes: Annotated[int, Field(ge=1000, le=2**30)] = 100_000
    """UTF-8 bytes of the training side on which the importance of layers and the scores of units are measured."""
    mask_steps: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Steps for which a learned mask is trained, the parent frozen."""


class InheritanceConfig(InheritanceSettings):
    """Initial weights that are taken from a larger network, the parent."""

    parent: str
    """Folder with the parent's ``config.json``, safetensors and tokenizer."""
    parent_train_flops: Annotated[float, Field(ge=0)] | None = None
    """FLOPs that training the parent took, with those of what it started from; None where nobody knows them."""
