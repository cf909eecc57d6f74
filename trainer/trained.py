"""The network of the latest checkpoint, whole, as a folder that ``transformers`` loads."""

import shutil
from pathlib import Path

import torch

from model.errors import InvalidInput
from model.hf import check_exportable, write_hf_folder
from model.tokenizer import load_tokenizer
from model.transformer import Transformer
from trainer.cache import appearing
from trainer.checkpoints.state import latest_checkpoint, whole_weights
from trainer.run_folder import read_pretrain_config

FOLDER = "trained"
"""Name of the folder below the run's."""


def can_write_trained(folder: Path) -> bool:
    """Whether ``transformers`` has a class for the network of a run."""
    return read_pretrain_config(folder).architecture.block == "llama"


def write_trained(folder: Path) -> tuple[Path, int]:
    """Write ``folder/trained`` from the latest checkpoint, whatever the number of processes that wrote it.

    Returns:
        The folder, and the step it is of.

    Raises:
        InvalidInput: there is no checkpoint, it does not fit the config, or ``transformers`` has no class for it.
        WriteFailed: the disk is full.
    """
    config = read_pretrain_config(folder)
    check_exportable(config.architecture)
    found = latest_checkpoint(folder / "checkpoints")
    if found is None:
        raise InvalidInput("checkpoints", f"there is none in {folder}", "train first")
    checkpoint, state = found
    with torch.device("meta"):
        network = Transformer(config.architecture)
    network.load_state_dict(whole_weights(checkpoint, state, network), assign=True)
    target, partial = folder / FOLDER, folder / f".{FOLDER}.partial"
    for path in (target, partial):
        if path.is_symlink():
            raise InvalidInput(FOLDER, f"{path} is a link", "remove it")
    shutil.rmtree(partial, ignore_errors=True)
    with appearing(target, partial):
        write_hf_folder(network, load_tokenizer(folder / config.tokenizer), partial)
    return target, state.step
