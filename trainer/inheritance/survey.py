"""The importance of a network's layers, for somebody who looks at it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from model.attention import fastest_backend
from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.folder import parent_folder
from model.inheritance.layers import LayerImportance
from model.inheritance.parent import read_parent
from trainer.inheritance.calibration import calibration_texts, parents_tokens
from trainer.inheritance.cost import MICRO_BATCH_TOKENS, importance_flops_per_token
from trainer.inheritance.importance import layer_importance
from trainer.machine.memory import check_inheritance_memory, named_memory_errors
from trainer.machine.precision import resolve_precision
from trainer.text.cached_corpus import CachedCorpus

MAX_CONTEXT = 1024
"""Tokens of a window where the network reaches further (assumed: attention over more costs much and changes little)."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was measured, and on what."""

    architecture: ArchitectureConfig
    importance: LayerImportance
    calibration_bytes: int
    """UTF-8 bytes of the text."""
    context: int
    """Tokens of a window."""
    flops: float


def survey(
    folder: Path, corpus: CachedCorpus, calibration_bytes: int, progress: Callable[[int, int], None], field: str
) -> Survey:
    """Measure the layers of the network in a folder on the training side of a corpus.

    Args:
        folder: of ``transformers``, or one that ``formulary pretrain`` trained.
        corpus: whose validation bytes are left out.
        calibration_bytes: how much of it is read.
        progress: is told how many of how many batches are done.
        field: what errors name.

    Raises:
        InvalidInput: the folder cannot be used, or the memory does not suffice.
    """
    found = parent_folder(folder, field)
    context = min(found.architecture.sequence_length, MAX_CONTEXT)
    shape = found.architecture.model_copy(update={"sequence_length": context})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = resolve_precision("auto", device)
    with named_memory_errors():
        check_inheritance_memory(shape, shape, MICRO_BATCH_TOKENS, precision, device)
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        parent = read_parent(found.path, fastest_backend(device, dtype, shape), field)
        if parent.tokenizer is None:
            raise InvalidInput(field, f"{found.path} holds no tokenizer", "put the one that it was trained with there")
        texts = calibration_texts(corpus, calibration_bytes)
        text = parents_tokens(texts, parent.tokenizer, shape.vocabulary_size, context, field)
        importance = layer_importance(parent.network.to(device), text, precision, progress)
    flops = text.tokens * importance_flops_per_token(shape)
    return Survey(found.architecture, importance, text.text_bytes, context, flops)
