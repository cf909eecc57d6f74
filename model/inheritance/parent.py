"""A network that others start from or learn from, as it is in memory."""

from dataclasses import dataclass
from pathlib import Path

from model.attention import AttentionBackend
from model.errors import InvalidInput
from model.inheritance.folder import parent_folder
from model.inheritance.shapes import FIELD
from model.tokenizer.reading import read_tokenizer
from model.tokenizer.source import Source
from model.transformer import Transformer


@dataclass(frozen=True)
class Parent:
    """A trained network, its tokenizer, and a name for both that follows from their content."""

    network: Transformer
    """In float32 on the CPU."""
    tokenizer: Source | None
    """As its file says; None where the folder holds none, so that its tokens cannot be mapped."""
    fingerprint: str
    """SHA-256 over the files of config, weights and tokenizer."""


def read_parent(folder: Path, backend: AttentionBackend = "sdpa", field: str = FIELD) -> Parent:
    """Read a folder of ``transformers``, LLaMA or Qwen3, sharded or not, or one that ``formulary pretrain`` trained.

    ``model.inheritance.folder.parent_folder`` finds the same files and their fingerprint without loading them.

    Raises:
        InvalidInput: config, weights or tokenizer are broken, missing (but for the tokenizer), of another kind, too
            large, or behind a link out of the folder; or a weight is no finite number. Its field begins with ``field``.
    """
    from model.hf import from_transformers  # loads transformers, which most runs do not need

    found = parent_folder(folder, field)
    try:
        network = from_transformers(found.path, backend)
        _check_finite(network)
        tokenizer = None if found.tokenizer is None else read_tokenizer(found.tokenizer)
    except InvalidInput as error:
        raise InvalidInput(f"{field}.{error.field}", error.reason, error.remedy) from error
    return Parent(network, tokenizer, found.fingerprint())


def _check_finite(network: Transformer) -> None:
    for name, weight in network.named_parameters():
        if not weight.isfinite().all():
            remedy = "give the weights of a run that did not diverge"
            raise InvalidInput("weights", f"{name} holds NaN or infinities", remedy)
