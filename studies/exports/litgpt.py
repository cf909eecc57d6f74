"""A folder for litgpt 0.5 (https://github.com/Lightning-AI/litgpt): ``pretrain.yaml``, as its ``config_hub`` has them.

The network is litgpt's ``GPT`` with the options of its LLaMA configs, under QK-norm those of its Qwen3 ones
(``litgpt/config.py``). Its own checkpoints are pickles, so that the folder holds safetensors and a script.
"""

from pathlib import Path
from typing import Any

import yaml

from studies.exports import hf
from studies.exports.exporter import Exporter
from studies.exports.run import Run, evaluation_difference, seed_difference
from studies.exports.scripts import copy_script
from studies.exports.smoke.litgpt import smoke
from studies.recipe import Recipe
from trainer.config import PretrainConfig

CONFIG = "pretrain.yaml"
SCRIPT = "convert_to_litgpt.py"
USAGE = """\
With litgpt 0.5.13 (`pip install 'litgpt[extra]==0.5.13'`, in an environment of its own), from this folder:

    python convert_to_litgpt.py
    litgpt pretrain --config pretrain.yaml

The first command puts `model.safetensors` under litgpt's names, into `initial/`. The second starts from there on all
GPUs of the machine; the batch of {batch} sequences is that of all GPUs together. Add `--resume auto` and
`--initial_checkpoint_dir null` to go on from `out/`.

The corpus goes to `data/train/` and `data/validation/` as `.txt` files, one document each; litgpt cuts them with
`tokenizer.json` when it starts.
"""


def write(run: Run, title: str, folder: Path) -> Recipe:
    """Write ``pretrain.yaml`` and the script that converts the weights, beside the files of ``hf``.

    Raises:
        InvalidInput: the weights fit into neither the memory nor the disk of this machine.
    """
    recorded = hf.write(run, title, folder)
    (folder / CONFIG).write_text(render(pretrain_config(run, title)), encoding="utf-8")
    copy_script(SCRIPT, folder)
    return recorded


def render(document: dict[str, Any]) -> str:
    """A document as YAML of plain values, escaped where YAML would take a character for the end of a line."""
    return yaml.safe_dump(document, sort_keys=False)


def pretrain_config(run: Run, title: str) -> dict[str, Any]:
    """The arguments of ``litgpt pretrain``; paths are relative to the folder."""
    optimization = run.config.optimization
    return {
        "model_name": "formulary",
        "model_config": model_config(run),
        "out_dir": "out",
        "precision": "bf16-mixed" if run.bfloat16 else "32-true",
        "initial_checkpoint_dir": "initial",
        "resume": False,
        "data": {
            "class_path": "litgpt.data.TextFiles",
            "init_args": {
                "train_data_path": "data/train",
                "val_data_path": "data/validation",
                "seed": run.seed,
                "num_workers": 4,
            },
        },
        "train": {
            "save_interval": run.config.checkpoint_every_steps,
            "log_interval": 10,
            "global_batch_size": run.batch_sequences,
            "micro_batch_size": run.micro_batch_sequences,
            "lr_warmup_steps": run.plan.warmup_steps,
            "max_tokens": run.tokens,
            "max_seq_length": run.config.architecture.sequence_length,
            "tie_embeddings": run.config.architecture.tied_head,
            "max_norm": optimization.gradient_clip,
            "min_lr": run.final_learning_rate,
        },
        "eval": {"interval": max(run.plan.steps // run.config.evaluations, 1), "max_iters": 100},
        "log": {"project": "formulary", "run": title},
        "optimizer": {
            "class_path": "torch.optim.AdamW",
            "init_args": {
                "lr": optimization.learning_rate,
                "weight_decay": optimization.weight_decay,
                "betas": [optimization.beta1, optimization.beta2],
                "eps": optimization.epsilon,
            },
        },
        "devices": "auto",
        "num_nodes": run.nodes,
        "tokenizer_dir": "initial",
        "logger_name": "tensorboard",
        "seed": run.seed,
    }


def model_config(run: Run) -> dict[str, Any]:
    """The network as litgpt's ``Config``; the vocabulary is not padded."""
    architecture = run.config.architecture
    return {
        "name": "formulary",
        "hf_config": {},
        "block_size": architecture.sequence_length,
        "n_layer": architecture.depth,
        "n_embd": architecture.width,
        "vocab_size": architecture.vocabulary_size,
        "padded_vocab_size": architecture.vocabulary_size,
        "norm_class_name": "RMSNorm",
        "norm_eps": architecture.norm_eps,
        "norm_qk": architecture.qk_norm,
        "parallel_residual": False,
        "n_head": architecture.heads,
        "head_size": architecture.head_dim,
        "n_query_groups": architecture.kv_heads,
        "attn_bias": False,
        "rope_base": int(architecture.rope_theta),
        "rotary_percentage": 1.0,
        "intermediate_size": architecture.ffn_width,
        "bias": False,
        "mlp_class_name": "LLaMAMLP",
        "lm_head_bias": False,
    }


def usage(run: Run) -> str:
    """The commands that start it, and where the corpus goes."""
    return USAGE.format(batch=run.batch_sequences)


def differences(config: PretrainConfig) -> list[str]:
    """What litgpt does otherwise."""
    return [
        "Weight decay: litgpt decays norm gains too, formulary matrices alone.",
        "Learning rate: litgpt moves it with each forward pass of a batch, formulary with each batch; its first is 0.",
        "Data: the order of the documents is litgpt's; white space at the ends of a document is cut off.",
        *seed_difference("litgpt", config),
        *evaluation_difference(config),
    ]


EXPORTER = Exporter(write=write, smoke=smoke, usage=usage, has_weights=True, differences=differences)
