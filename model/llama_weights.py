"""A network's tensors under the names of ``LlamaForCausalLM``, and reading them from files that nobody has checked.

What LLaMA has not goes by names of its own; with QK-norm the names are those of ``Qwen3ForCausalLM``. All names of a
muP network begin with ``mup.``, since LLaMA's forward pass has not its multipliers and would give other logits.

Only JSON and safetensors are opened, and every shape is compared with the network before a tensor is loaded.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.transformer import Transformer, attention_scale
from model.weight_files import REMEDY

MUP_PREFIX = "mup."


_OUTER_NAMES = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.gain": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
_BLOCK_NAMES = {
    "attention_norm.gain": "input_layernorm.weight",
    "attention.query.weight": "self_attn.q_proj.weight",
    "attention.key.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
    "attention.output.weight": "self_attn.o_proj.weight",
    "attention.query_norm.gain": "self_attn.q_norm.weight",
    "attention.key_norm.gain": "self_attn.k_norm.weight",
    "shortcut.reduce.weight": "shortcut.reduce.weight",
    "shortcut.restore.weight": "shortcut.restore.weight",
    "ffn_norm.gain": "post_attention_layernorm.weight",
    "ffn.gate.weight": "mlp.gate_proj.weight",
    "ffn.up.weight": "mlp.up_proj.weight",
    "ffn.down.weight": "mlp.down_proj.weight",
    "ffn.series.scale": "mlp.series.scale",
    "ffn.series.shift": "mlp.series.shift",
}
_FLOAT_DTYPES = ("F32", "F16", "BF16")
_NOT_PARAMETERS = ("rotary_emb.inv_freq",)
"""Endings of the buffers that old checkpoints hold; they follow from the config."""


def file_names(network: Transformer) -> dict[str, str]:
    """The name in files of each of the network's parameters; a tied head is not repeated."""
    return {name: _file_name(name, network.config) for name, _ in network.named_parameters()}


def llama_weights(network: Transformer) -> dict[str, Tensor]:
    """The network's parameters under their names in files, in float32 on the CPU."""
    names = file_names(network)
    return {names[name]: weight.detach().cpu().float() for name, weight in network.named_parameters()}


def exchange_weights(network: Transformer) -> dict[str, Tensor]:
    """The weights with which LLaMA's or Qwen3's forward pass gives the same logits.

    muP's multipliers are folded into them: that of the scores into the queries (their gains under QK-norm, since what
    is normed has no size), that of the output into the last norm. Both are exact up to rounding.
    """
    weights = {name.removeprefix(MUP_PREFIX): weight for name, weight in llama_weights(network).items()}
    config, scale = network.config, attention_scale(network.config)
    if scale is None:
        return weights
    folded = "self_attn.q_norm.weight" if config.qk_norm else "self_attn.q_proj.weight"
    for name in filter(lambda name: name.endswith(folded), weights):
        weights[name] = weights[name] * (scale * config.head_dim**0.5)
    weights["model.norm.weight"] = weights["model.norm.weight"] / config.width_multiplier
    return weights


def load_weights(network: Transformer, path: Path) -> None:
    """Copy the weights of one safetensors file, as ``write_hf_folder`` wrote it, into the network.

    Raises:
        InvalidInput: the file is missing, broken, or does not fit the network.
    """
    network.load_state_dict(read_weights([path], network))


def read_weights(files: list[Path], network: Transformer) -> dict[str, Tensor]:
    """Read the tensors of all files, under the network's names and in float32.

    The network only tells names and shapes; it may be on the meta device.

    Raises:
        InvalidInput: a file is missing or broken, or the tensors do not fit the network.
    """
    names = {file_name: name for name, file_name in file_names(network).items()}
    shapes = {_file_name(name, network.config): list(weight.shape) for name, weight in network.named_parameters()}
    ignored = _NOT_PARAMETERS + (("lm_head.weight",) if network.config.tied_head else ())
    weights: dict[str, Tensor] = {}
    for path in files:
        try:
            weights.update((names[name], tensor) for name, tensor in _tensors(path, shapes, ignored))
        except (SafetensorError, OSError) as error:
            raise InvalidInput("weights", f"{path} cannot be read ({error})", REMEDY) from error
    missing = [file_name for file_name, name in names.items() if name not in weights]
    if missing:
        raise InvalidInput("weights", f"{missing[0]} is missing", "give the complete weights of this config")
    return weights


def _tensors(path: Path, shapes: Mapping[str, list[int]], ignored: tuple[str, ...]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of one file, each checked from the header before it is read."""
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118 (the file is not a mapping)
            if name.endswith(ignored):
                continue
            header = file.get_slice(name)
            if shapes.get(name) != header.get_shape():
                reason = f"{name} of shape {header.get_shape()} does not belong to the config"
                raise InvalidInput("weights", reason, "give the weights of this config")
            if header.get_dtype() not in _FLOAT_DTYPES:
                reason = f"{name} has dtype {header.get_dtype()}"
                raise InvalidInput("weights", reason, f"give weights in {', '.join(_FLOAT_DTYPES)}")
            yield name, file.get_tensor(name).to(torch.float32, copy=True)


def _file_name(name: str, config: ArchitectureConfig) -> str:
    return _llama_name(name) if config.parametrisation == "standard" else MUP_PREFIX + _llama_name(name)


def _llama_name(name: str) -> str:
    if not name.startswith("blocks."):
        return _OUTER_NAMES[name]
    _, layer, inner = name.split(".", maxsplit=2)
    return f"model.layers.{layer}.{_BLOCK_NAMES[inner]}"
