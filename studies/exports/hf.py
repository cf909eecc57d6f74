"""A folder for Hugging Face transformers: a LLaMA or Qwen3 config, its initial weights and the tokenizer."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from model.counts import count_parameters
from model.errors import InvalidInput
from studies.exports.exporter import Exporter
from studies.exports.run import Run
from studies.exports.smoke.transformers import smoke
from studies.recipe import Recipe
from studies.recipe.recipe import figures
from trainer.config import PretrainConfig
from trainer.inheritance.record import RECORD_FILE, InheritanceRecord

if TYPE_CHECKING:  # loads torch
    from model.transformer import Transformer
    from trainer.inheritance.start import Start

WEIGHTS = "model.safetensors"
BYTES_PER_PARAMETER = 4
"""Weights are drawn and written in float32."""
USAGE = """\
Or load the untrained network, which starts from the same weights, with transformers:

    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained("DIR")
    tokenizer = AutoTokenizer.from_pretrained("DIR")
"""


def write(run: Run, title: str, folder: Path) -> Recipe:
    """Draw the initial weights from the recipe's seed, or take those that were inherited, and name them in the config.

    Under muP they are not named: the file holds them with its multipliers folded in, for transformers alone, and
    training draws the same network from the seed. Imports torch when called, because the API reaches this module.

    Raises:
        InvalidInput: the weights fit into neither the memory nor the disk of this machine.
    """
    recipe = run.recipe
    _check_room(recipe, folder)
    from model.hf import write_hf_folder
    from model.tokenizer import load_tokenizer

    config = recipe.config
    network = _inherited(run.start, config) if run.start else _drawn(config)
    write_hf_folder(network, load_tokenizer(folder / config.tokenizer), folder)
    if run.start is not None:
        shutil.copyfile(run.start.folder / RECORD_FILE, folder / RECORD_FILE)
        return recipe.inherited_in(WEIGHTS, words(run.start.record, recipe))
    return recipe if config.architecture.parametrisation == "mup" else recipe.starting_from(WEIGHTS)


def _drawn(config: PretrainConfig) -> "Transformer":
    from model.initialization import initialize
    from model.transformer import Transformer

    network = Transformer(config.architecture)
    std = config.initialization.std_at(config.architecture.base_width)
    initialize(network, config.initialization.scheme, std, config.seed)
    return network


def _inherited(start: "Start", config: PretrainConfig) -> "Transformer":
    from model.transformer import Transformer

    network = Transformer(config.architecture)
    weights = start.weights(config.architecture)
    for name, parameter in network.named_parameters():
        parameter.data.copy_(weights[name])
    return network


def words(record: InheritanceRecord, recipe: Recipe) -> str:
    """What was inherited when the export was written, and what that took."""
    parent = recipe.plan.start.parent if recipe.plan and recipe.plan.start else "the parent"
    return (
        f"inherited from {parent} when the export was written: {len(record.layers)} of {record.parent.depth} layers by "
        f"{record.layer_method}, channels and heads by {record.neurons}; {figures(record.flops)} FLOPs, "
        f"{figures(record.seconds)} s; {figures(record.bits_per_byte)} bits per byte before training"
    )


def _check_room(recipe: Recipe, folder: Path) -> None:
    total = count_parameters(recipe.config.architecture).total
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    room = min(memory, shutil.disk_usage(folder).free)
    if BYTES_PER_PARAMETER * total > room:
        reason = f"{total} weights take {BYTES_PER_PARAMETER * total:.3g} bytes, this machine has {room:.3g}"
        remedy = "ask for a smaller model, or use the formulary format, which draws weights when training starts"
        raise InvalidInput("total_parameters", reason, remedy)


def usage(run: Run) -> str:
    """How transformers loads it."""
    return USAGE


EXPORTER = Exporter(write=write, smoke=smoke, usage=usage, has_weights=True)
