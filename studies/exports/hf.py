"""A folder for Hugging Face transformers: a LLaMA config, its initial weights and the tokenizer."""

from pathlib import Path

from studies.exports.exporter import Exporter
from studies.recipe import Recipe

WEIGHTS = "model.safetensors"
USAGE = """\
Or load the untrained network, which starts from the same weights, with transformers:

    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained("DIR")
    tokenizer = AutoTokenizer.from_pretrained("DIR")
"""


def write(recipe: Recipe, folder: Path) -> Recipe:
    """Draw the initial weights from the recipe's seed and name them in the config.

    Imports torch when called, because the API reaches this module.
    """
    from model.hf import write_hf_folder
    from model.initialization import initialize
    from model.tokenizer import load_tokenizer
    from model.transformer import Transformer

    config = recipe.config
    network = Transformer(config.architecture)
    std = config.initialization.std_at(config.architecture.width)
    initialize(network, config.initialization.scheme, std, config.seed)
    write_hf_folder(network, load_tokenizer(folder / config.tokenizer), folder)
    return recipe.starting_from(WEIGHTS)


EXPORTER = Exporter(write=write, usage=USAGE)
