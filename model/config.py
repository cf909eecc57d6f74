"""The shape of a network, checked before anything is built."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_VOCABULARY_SIZE = 1_048_576
MAX_DEPTH = 1024
MAX_WIDTH = 65_536
MAX_FFN_WIDTH = 1_048_576
MAX_SEQUENCE_LENGTH = 1_048_576

SHORTCUT_REDUCTION = 32
"""Width over the width of the augmented shortcut's bottleneck (arXiv 2312.17276, table 3), rounded up."""
SERIES_TERMS = 2
"""Activation functions in PanGu-π's FFN (arXiv 2312.17276, table 2: n = 2)."""
DEFAULT_HEAD_DIM = 32

BlockKind = Literal["llama", "pangu_pi"]
InitScheme = Literal["constant", "gpt2", "internlm", "mup"]
Parametrisation = Literal["standard", "mup"]


class FrozenConfig(BaseModel):
    """Immutable configuration that refuses unknown fields, NaN, infinity, and texts or booleans for numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_disguised(cls, data: Any) -> Any:
        """Refuse what pydantic would convert: ``"4"`` or ``true`` for a number, ``1`` or ``"yes"`` for a boolean.

        Its strict mode does too, but takes no list for a tuple and no ``1e6`` for a whole number.
        """
        if not isinstance(data, Mapping):
            return data
        for name in filter(data.__contains__, cls.model_fields):
            expected = _disguised(cls.model_fields[name].annotation, data[name])
            if expected:
                raise ValueError(f"{name} {data[name]!r:.60} is not {expected}; write {expected}, without quotes")
        return data


def _disguised(annotation: Any, value: object) -> str | None:
    """What the field wants where ``value`` only looks like it; None where pydantic can judge."""
    kinds = _scalar_kinds(annotation)
    if type(value) in kinds or (str in kinds and not isinstance(value, bool)):
        return None
    if isinstance(value, bool | str) and kinds & {int, float}:
        return "a number"
    return "true or false" if isinstance(value, int | float | str) and bool in kinds else None


def _scalar_kinds(annotation: Any) -> set[Any]:
    """The types that a field takes directly, without what constrains them; of literals, theirs."""
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    literals = {type(value) for member in members if get_origin(member) is Literal for value in get_args(member)}
    return literals | {getattr(member, "__origin__", member) for member in members}


class ArchitectureConfig(FrozenConfig):
    """A LLaMA-style decoder: RMSNorm, RoPE, SwiGLU, grouped-query attention (arXiv 2302.13971, 2305.13245).

    ``width`` is the residual width d; attention uses ``heads = width / head_dim`` query heads. The equations of every
    option are in docs/network.md.
    """

    block: BlockKind = "llama"
    """``pangu_pi`` adds an augmented shortcut beside attention and a series of activations in the FFN
    (arXiv 2312.17276, equations 4 and 7)."""

    vocabulary_size: Annotated[int, Field(ge=2, le=MAX_VOCABULARY_SIZE)]
    """V, rows of the embedding table."""
    depth: Annotated[int, Field(ge=1, le=MAX_DEPTH)]
    """L, number of decoder blocks."""
    width: Annotated[int, Field(ge=2, le=MAX_WIDTH)]
    """d, a multiple of ``head_dim``."""
    ffn_width: Annotated[int, Field(ge=1, le=MAX_FFN_WIDTH)]
    """Hidden width of the SwiGLU block; ffn_ratio = ffn_width / width."""
    head_dim: Annotated[int, Field(ge=2, le=1024)] = DEFAULT_HEAD_DIM
    """Channels of one head; even, because RoPE rotates pairs."""
    kv_heads: Annotated[int, Field(ge=1, le=MAX_WIDTH // 2)]
    """Key and value heads; divides ``heads``. Filled with ``heads`` (plain multi-head attention) when left out."""
    tied_head: bool = True
    """Whether the output projection is the embedding table."""
    sequence_length: Annotated[int, Field(ge=2, le=MAX_SEQUENCE_LENGTH)] = 256
    """S, the longest context in tokens."""
    mask_documents: bool = False
    """Whether a position sees its own document only, from its END_OF_TEXT on, and not the whole sequence before it."""
    rope_theta: Annotated[float, Field(gt=0)] = 10_000.0
    """Base of the rotary frequencies (arXiv 2104.09864, section 3.2.2)."""
    norm_eps: Annotated[float, Field(gt=0)] = 1e-5
    """Added to the mean square in RMSNorm (PanGu-π Pro, configs/LLM1B.py)."""
    qk_norm: bool = False
    """Whether queries and keys are normed, each head by itself (arXiv 2302.05442, section 2; RMSNorm with a gain that
    the heads of a layer share, as in Qwen3)."""
    mup_base_width: Annotated[int, Field(ge=2, le=MAX_WIDTH)] | None = None
    """Width at which muP equals the standard parametrisation (arXiv 2203.03466, table 8); None: standard."""

    @property
    def heads(self) -> int:
        """Number of query heads."""
        return self.width // self.head_dim

    @property
    def ffn_ratio(self) -> float:
        """Expansion rate of the FFN, ffn_width / width."""
        return self.ffn_width / self.width

    @property
    def shortcut_width(self) -> int:
        """Channels in the middle of the augmented shortcut; 0 in a block without one."""
        return -(-self.width // SHORTCUT_REDUCTION) if self.block == "pangu_pi" else 0

    @property
    def activations(self) -> int:
        """Activation functions that are summed in the FFN; 1 is the plain activation, which has no parameters."""
        return SERIES_TERMS if self.block == "pangu_pi" else 1

    @property
    def parametrisation(self) -> Parametrisation:
        """How scales and rates follow the width."""
        return "standard" if self.mup_base_width is None else "mup"

    @property
    def base_width(self) -> int:
        """The width whose deviations and learning rates the config gives; under the standard one, its own."""
        return self.mup_base_width or self.width

    @property
    def width_multiplier(self) -> float:
        """Width over base width; 1 under the standard parametrisation."""
        return self.width / self.base_width

    @model_validator(mode="before")
    @classmethod
    def _fill_kv_heads(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("kv_heads") is not None:
            return data
        width, head_dim = data.get("width"), data.get("head_dim", DEFAULT_HEAD_DIM)
        if isinstance(width, int) and isinstance(head_dim, int) and head_dim > 0:
            return {**data, "kv_heads": max(width // head_dim, 1)}
        return data

    @model_validator(mode="after")
    def _check_divisibility(self) -> Self:
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd; RoPE rotates pairs of channels, use an even number")
        if self.width % self.head_dim:
            raise ValueError(f"width {self.width} is not a multiple of head_dim {self.head_dim}")
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads {self.kv_heads} does not divide the {self.heads} heads (width / head_dim)")
        return self
