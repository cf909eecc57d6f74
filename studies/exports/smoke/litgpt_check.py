"""Run with the folder of a litgpt export: loads it with litgpt's own classes, and tells what it saw.

``import litgpt`` needs lightning. Without it, the modules that hold the config, the arguments and the network are
imported without the package's own ``__init__``, and one function of a fourth module, which renames the weights of old
checkpoints, is left out.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import yaml
from safetensors.torch import load_file

from studies.exports.scripts.convert_to_litgpt import convert
from studies.exports.smoke.child import LIMIT_PARAMETERS, Checked, report
from studies.exports.smoke.own_logits import compare, some_tokens

CONVERSION = "litgpt.scripts.convert_hf_checkpoint"


def import_litgpt() -> list[str]:
    """Import litgpt's network; what had to be left out.

    Raises:
        ImportError: it cannot be imported.
    """
    try:
        importlib.import_module("litgpt.model")
    except ModuleNotFoundError as error:
        if error.name != "lightning":
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "litgpt"]:
            del sys.modules[name]
        found = importlib.util.find_spec("litgpt")
        package = ModuleType("litgpt")
        package.__path__ = list((found and found.submodule_search_locations) or ())
        conversion = ModuleType(CONVERSION)
        vars(conversion)["qkv_reassemble"] = None
        sys.modules |= {"litgpt": package, CONVERSION: conversion}
        importlib.import_module("litgpt.model")
        return [
            "lightning is not installed: litgpt's config, arguments and network were imported without the rest, and "
            "its pretraining script was not run."
        ]
    return []


def check(folder: Path) -> Checked:
    """Load the folder's config, build its network, and compare the network with Formulary's.

    Raises:
        ValueError: the logits differ.
        Exception: litgpt refuses something.
    """
    try:
        left_out = import_litgpt()
    except ImportError as error:
        return Checked(importable=False, left_out=(f"it cannot be imported here ({error}).",))
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.config import Config

    document = yaml.safe_load((folder / "pretrain.yaml").read_text(encoding="utf-8"))
    config, train = Config(**document["model_config"]), TrainArgs(**document["train"])
    EvalArgs(**document["eval"])
    with torch.device("meta"):
        parameters = count(build(config, train))
    done = ["Config, TrainArgs and EvalArgs took pretrain.yaml, and GPT was built."]
    if parameters > LIMIT_PARAMETERS:
        left_out.append(f"With more than {LIMIT_PARAMETERS:,} parameters the weights were not loaded and not run.")
    else:
        done.append(compare_logits(build(config, train), folder))
    return Checked(done=tuple(done), left_out=tuple(left_out), parameters=parameters)


def build(config: Any, train: Any) -> Any:
    """The network as ``litgpt pretrain`` makes it."""
    from litgpt.model import GPT

    network = GPT(config)
    if train.tie_embeddings:
        network.transformer.wte.weight = network.lm_head.weight
    network.max_seq_length = train.max_seq_length
    return network


def count(network: Any) -> int:
    """Parameters, a shared one once."""
    return sum(parameter.numel() for parameter in network.parameters())


def compare_logits(network: Any, folder: Path) -> str:
    """Load what ``convert_to_litgpt.py`` makes of the weights and compare the logits with ours; what was seen.

    Raises:
        ValueError: the logits differ.
    """
    network.load_state_dict(convert(load_file(folder / "model.safetensors")))
    tokens_bs = some_tokens(network.max_seq_length, network.config.vocab_size)
    with torch.no_grad():
        logits_bsv = network(tokens_bs)
    return f"It took the converted weights, and {compare(folder, tokens_bs, logits_bsv)}."


if __name__ == "__main__":
    report(check(Path(sys.argv[1])))
