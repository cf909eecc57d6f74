"""A folder for torchtitan 0.2 (https://github.com/pytorch/torchtitan): ``train.toml`` and the network's arguments.

The network is torchtitan's ``qwen3`` without experts. Unlike its ``llama3`` it takes the FFN width as a number, rotates
without rescaled frequencies, and has tied heads; QK-norm is an option of it (``torchtitan/models/qwen3/model``).
"""

import json
from pathlib import Path
from typing import Any

import tomlkit

from model.tokenizer.pairs import END_OF_TEXT_ID
from studies.exports import hf
from studies.exports.exporter import Exporter
from studies.exports.run import Run, evaluation_difference
from studies.exports.scripts import copy_script
from studies.exports.smoke.torchtitan import smoke
from studies.recipe import Recipe
from trainer.config import PretrainConfig

CONFIG = "train.toml"
MODEL_ARGS = "model_args.json"
MODULE = "formulary_torchtitan"
USAGE = """\
With torchtitan 0.2.2 (`pip install torchtitan==0.2.2`), from this folder, on {gpus}:

    PYTHONPATH=. {torchrun} -m torchtitan.train --job.config_file train.toml

It starts from `model.safetensors`, logs to `outputs/tb` for TensorBoard, and goes on from `outputs/checkpoint` when it
is started again. The batch of {batch} sequences is that of all GPUs together: `local_batch_size` ({local}) times
the number of GPUs must divide it; lower it for more GPUs.

The corpus goes to `data/train/` as files of JSON lines, each line `{{"text": "one document"}}`; torchtitan cuts it
with `tokenizer.json`. `train.toml` names the folder in `training.dataset_path` (the dataset `c4_test` is torchtitan's
name for text that lies in a folder).
"""


def write(run: Run, title: str, folder: Path) -> Recipe:
    """Write config, arguments and the module that registers them, beside the files of ``hf``.

    Raises:
        InvalidInput: the weights fit into neither the memory nor the disk of this machine.
    """
    recorded = hf.write(run, title, folder)
    text = json.dumps(model_args(run), indent=2, allow_nan=False)
    (folder / MODEL_ARGS).write_text(text + "\n", encoding="utf-8")
    (folder / CONFIG).write_text(render(job_config(run, title)), encoding="utf-8")
    copy_script(f"{MODULE}.py", folder)
    return recorded


def render(document: dict[str, Any]) -> str:
    """A document as TOML."""
    return tomlkit.dumps(document)


def model_args(run: Run) -> dict[str, Any]:
    """The network as ``Qwen3ModelArgs``."""
    architecture = run.config.architecture
    return {
        "dim": architecture.width,
        "n_layers": architecture.depth,
        "n_heads": architecture.heads,
        "n_kv_heads": architecture.kv_heads,
        "vocab_size": architecture.vocabulary_size,
        "head_dim": architecture.head_dim,
        "hidden_dim": architecture.ffn_width,
        "norm_eps": architecture.norm_eps,
        "rope_theta": architecture.rope_theta,
        "qk_norm": architecture.qk_norm,
        "max_seq_len": architecture.sequence_length,
        "enable_weight_tying": architecture.tied_head,
        "eos_id": END_OF_TEXT_ID,
    }


def job_config(run: Run, title: str) -> dict[str, Any]:
    """The run as torchtitan's ``JobConfig``; paths are relative to the folder."""
    optimization = run.config.optimization
    precision = "bfloat16" if run.bfloat16 else "float32"
    return {
        "job": {"dump_folder": "outputs", "description": title},
        "experimental": {"custom_import": MODULE},
        "model": {"name": "formulary", "flavor": "recipe", "hf_assets_path": "."},
        "optimizer": {
            "name": "AdamW",
            "lr": optimization.learning_rate,
            "beta1": optimization.beta1,
            "beta2": optimization.beta2,
            "eps": optimization.epsilon,
            "weight_decay": optimization.weight_decay,
        },
        "lr_scheduler": _lr_scheduler(run),
        "training": {
            "dataset": "c4_test",
            "dataset_path": "data/train",
            "local_batch_size": run.micro_batch_sequences,
            "global_batch_size": run.batch_sequences,
            "seq_len": run.config.architecture.sequence_length,
            "max_norm": optimization.gradient_clip,
            "steps": run.plan.steps,
            "dtype": "float32",
            "mixed_precision_param": precision,
        },
        "checkpoint": {
            "enable": True,
            "folder": "checkpoint",
            "interval": run.config.checkpoint_every_steps,
            "initial_load_path": ".",
            "initial_load_in_hf": True,
            "last_save_model_only": False,
        },
        "metrics": {"log_freq": 10, "enable_tensorboard": True},
        "debug": {"seed": run.seed},
    }


def _lr_scheduler(run: Run) -> dict[str, Any]:
    shape: dict[str, Any] = {"decay_type": "cosine"}
    if run.config.optimization.schedule == "wsd":
        shape = {"decay_type": "sqrt", "decay_ratio": run.plan.cooldown_steps / run.plan.steps}
    factor = run.config.optimization.final_learning_rate_ratio
    return {"warmup_steps": run.plan.warmup_steps, **shape, "min_lr_factor": factor}


def usage(run: Run) -> str:
    """The command that starts it, and where the corpus goes."""
    return USAGE.format(
        gpus=run.gpus_in_words, torchrun=run.torchrun, batch=run.batch_sequences, local=run.micro_batch_sequences
    )


def differences(config: PretrainConfig) -> list[str]:
    """What torchtitan does otherwise."""
    return [
        "Weight decay: torchtitan decays norm gains too, formulary matrices alone.",
        "Learning rate: after the warm-up torchtitan is one step behind, so that its last step does not quite reach "
        "the final rate.",
        "Data: the order of the documents is torchtitan's.",
        *evaluation_difference(config),
    ]


EXPORTER = Exporter(write=write, smoke=smoke, usage=usage, has_weights=True, differences=differences)
