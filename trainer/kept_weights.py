"""The weights that a proxy leaves in storage when it has ended, for others to inherit or to learn from."""

import hashlib
from dataclasses import replace
from pathlib import Path

from model.hf import write_hf_folder
from model.llama_weights import llama_weights
from model.tokenizer import load_tokenizer
from model.transformer import Transformer
from trainer.cache import cached_folder, content_key, file_fingerprint
from trainer.results import StepResult
from trainer.weights_folder import WEIGHTS_KEY, has_weights, weights_folder


def with_kept_weights(result: StepResult, network: Transformer, tokenizer: Path, storage: Path) -> StepResult:
    """Keep the weights of a run that has ended, and name them among what it says of itself.

    Raises:
        InvalidInput: ``transformers`` has no class for the network.
        WriteFailed: the disk is full.
    """
    if result.summary is None:
        return result
    attributes = {**result.summary.attributes, WEIGHTS_KEY: keep_weights(network, tokenizer, storage)}
    return replace(result, summary=replace(result.summary, attributes=attributes))


def keep_weights(network: Transformer, tokenizer: Path, storage: Path) -> str:
    """Write a network and its tokenizer as ``transformers`` loads them; muP's multipliers are folded into the weights.

    Returns:
        The key of the folder (``trainer.weights_folder``). It follows from the content: what is there is not written
        again, and a trial names the very weights whose values it stores, whichever attempt it was.

    Raises:
        InvalidInput: ``transformers`` has no class for the network.
        WriteFailed: the disk is full.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(llama_weights(network).items()):
        digest.update(name.encode())
        digest.update(weight.contiguous().numpy().data)
    key = content_key(network.config.model_dump_json(), file_fingerprint(tokenizer), digest.hexdigest())
    cached_folder(
        weights_folder(storage, key),
        has_weights,
        lambda folder: write_hf_folder(network, load_tokenizer(tokenizer), folder),
    )
    return key
