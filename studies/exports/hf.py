"""A folder for Hugging Face transformers: a LLaMA or Qwen3 config, its initial weights and the tokenizer."""

import os
import shutil
from pathlib import Path

from model.counts import count_parameters
from model.errors import InvalidInput
from studies.exports.exporter import Exporter
from studies.exports.run import Run
from studies.exports.smoke.transformers import smoke
from studies.recipe import Recipe

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
    """Draw the initial weights from the recipe's seed and name them in the config.

    Under muP they are not named: the file holds them with its multipliers folded in, for transformers alone, and
    training draws the same network from the seed. Imports torch when called, because the API reaches this module.

    Raises:
        InvalidInput: the weights fit into neither the memory nor the disk of this machine.
    """
    recipe = run.recipe
    _check_room(recipe, folder)
    from model.hf import write_hf_folder
    from model.initialization import initialize
    from model.tokenizer import load_tokenizer
    from model.transformer import Transformer

    config = recipe.config
    network = Transformer(config.architecture)
    std = config.initialization.std_at(config.architecture.base_width)
    initialize(network, config.initialization.scheme, std, config.seed)
    write_hf_folder(network, load_tokenizer(folder / config.tokenizer), folder)
    return recipe if config.architecture.parametrisation == "mup" else recipe.starting_from(WEIGHTS)


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


EXPORTER = Exporter(write=write, smoke=smoke, usage=usage)
