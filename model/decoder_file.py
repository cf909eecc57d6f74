"""The ``config.json`` of ``LlamaForCausalLM`` and ``Qwen3ForCausalLM``, from anyone, as our config; no torch."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.files import read_capped
from model.weight_files import MAX_JSON_BYTES

_LLAMA_ONLY = (
    "give a LLaMA folder with RMSNorm, unscaled RoPE, SwiGLU, no biases, no quantization and no remote code, or such a "
    "Qwen3 one without sliding windows"
)
_DEFAULT_THETA = 10_000.0
"""Of a file that gives none (as ``LlamaConfig`` and ``Qwen3Config`` of ``transformers``)."""


class _RopeParameters(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    rope_type: Literal["default"] = "default"
    rope_theta: float | None = None


class _DecoderFile(BaseModel):
    """The fields of a ``config.json`` that change the logits; a ``Literal`` holds the values we have."""

    model_config = ConfigDict(extra="ignore", strict=True)

    model_type: Literal["llama", "qwen3"]
    architectures: list[Literal["LlamaForCausalLM", "Qwen3ForCausalLM"]] | None = None
    auto_map: None = None
    quantization_config: None = None
    hidden_act: Literal["silu"] = "silu"
    attention_bias: Literal[False] = False
    mlp_bias: Literal[False] = False
    rope_scaling: None = None
    rope_parameters: _RopeParameters | None = None
    rope_theta: float | None = None
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: Annotated[int, Field(ge=1)]
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False
    use_sliding_window: Literal[False] = False
    layer_types: list[Literal["full_attention"]] | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        name = {"llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}[self.model_type]
        if any(architecture != name for architecture in self.architectures or ()):
            raise ValueError(f"a {self.model_type} network is a {name}")
        if self.model_type == "qwen3" and not (self.head_dim and self.num_key_value_heads):
            raise ValueError("a qwen3 config names head_dim and num_key_value_heads")
        return self

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.head_dim is not None and self.head_dim * self.num_attention_heads != self.hidden_size:
            heads = f"{self.num_attention_heads} heads of {self.head_dim} channels"
            raise ValueError(f"{heads} do not make hidden_size {self.hidden_size}")
        return self

    @model_validator(mode="after")
    def _check_thetas(self) -> Self:
        if len(self._thetas()) > 1:
            raise ValueError("rope_theta {} and rope_parameters.rope_theta {} differ".format(*self._thetas()))
        return self

    def _thetas(self) -> list[float]:
        """All values that the file gives, of which ``rope_parameters`` may hold one, and older files another."""
        within = self.rope_parameters.rope_theta if self.rope_parameters else None
        return list(dict.fromkeys(theta for theta in (self.rope_theta, within) if theta is not None))

    def architecture(self) -> dict[str, Any]:
        """The same shape in the fields of ``ArchitectureConfig``, unchecked."""
        return {
            "vocabulary_size": self.vocab_size,
            "depth": self.num_hidden_layers,
            "width": self.hidden_size,
            "ffn_width": self.intermediate_size,
            "head_dim": self.head_dim or self.hidden_size // self.num_attention_heads,
            "kv_heads": self.num_key_value_heads or self.num_attention_heads,
            "tied_head": self.tie_word_embeddings,
            "sequence_length": self.max_position_embeddings,
            "rope_theta": next(iter(self._thetas()), _DEFAULT_THETA),
            "norm_eps": self.rms_norm_eps,
            "qk_norm": self.model_type == "qwen3",
        }


def read_architecture(path: Path) -> ArchitectureConfig:
    """Read a config whose forward pass is ours.

    Raises:
        InvalidInput: it is missing, broken, or that of another network.
    """
    content = read_capped(path, MAX_JSON_BYTES, "config", _LLAMA_ONLY)
    try:
        return ArchitectureConfig.model_validate(_DecoderFile.model_validate_json(content).architecture())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        got = f", got {first['input']!r:.80}" if first["loc"] else ""
        field = ".".join(["config", *map(str, first["loc"])])
        raise InvalidInput(field, first["msg"].removeprefix("Value error, ") + got, _LLAMA_ONLY) from error
