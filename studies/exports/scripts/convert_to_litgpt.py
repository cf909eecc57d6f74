"""Puts ``model.safetensors`` of this folder under litgpt's names, into ``initial/lit_model.pth``.

``litgpt convert_to_litgpt`` does so for the networks that litgpt has a name for; this one has its shape in
``pretrain.yaml``. Run it once, from this folder, before ``litgpt pretrain``.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

NAMES = {
    "model.embed_tokens.weight": "transformer.wte.weight",
    "model.norm.weight": "transformer.ln_f.weight",
    "lm_head.weight": "lm_head.weight",
}
LAYER_NAMES = {
    "input_layernorm.weight": "norm_1.weight",
    "self_attn.o_proj.weight": "attn.proj.weight",
    "self_attn.q_norm.weight": "attn.norm_q.weight",
    "self_attn.k_norm.weight": "attn.norm_k.weight",
    "post_attention_layernorm.weight": "norm_2.weight",
    "mlp.gate_proj.weight": "mlp.fc_1.weight",
    "mlp.up_proj.weight": "mlp.fc_2.weight",
    "mlp.down_proj.weight": "mlp.proj.weight",
}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json")


def convert(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a LLaMA or Qwen3 under litgpt's names; queries, keys and values become one matrix."""
    converted: dict[str, Tensor] = {}
    for name, weight in weights.items():
        layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", name)
        if layer is None:
            converted[NAMES[name]] = weight
        elif layer[2] == "self_attn.q_proj.weight":
            parts = [weights[f"model.layers.{layer[1]}.self_attn.{part}_proj.weight"] for part in "qkv"]
            converted[f"transformer.h.{layer[1]}.attn.qkv.weight"] = torch.cat(parts)
        elif layer[2] not in ("self_attn.k_proj.weight", "self_attn.v_proj.weight"):
            converted[f"transformer.h.{layer[1]}.{LAYER_NAMES[layer[2]]}"] = weight
    converted.setdefault("lm_head.weight", converted["transformer.wte.weight"])
    return converted


def main() -> None:
    """Convert the folder that this file is in."""
    folder = Path(__file__).parent
    target = folder / "initial"
    target.mkdir(exist_ok=True)
    torch.save(convert(load_file(folder / "model.safetensors")), target / "lit_model.pth")
    model = yaml.safe_load((folder / "pretrain.yaml").read_text(encoding="utf-8"))["model_config"]
    (target / "model_config.yaml").write_text(yaml.safe_dump(model), encoding="utf-8")
    for name in TOKENIZER_FILES:
        shutil.copyfile(folder / name, target / name)


if __name__ == "__main__":
    main()
