"""The text on which a parent is measured: heads of documents of the training side, never the validation bytes."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.errors import InvalidInput
from model.files import read_capped
from model.inheritance.shapes import FIELD
from model.tokenizer import END_OF_TEXT_ID
from model.tokenizer.source import Source
from trainer.cache import cached_folder, content_key
from trainer.inheritance.cost import MICRO_BATCH_TOKENS
from trainer.inheritance.record import FOLDER
from trainer.loss import IGNORED
from trainer.text.cached_corpus import FORMAT, CachedCorpus
from trainer.text.corpus import SMALLEST_VALIDATION_DOCUMENTS, heads, utf8_size

Ids = npt.NDArray[np.int64]

MAX_JSON_GROWTH = 6
"""Most bytes of JSON for one of text: a control character becomes six (derived)."""


@dataclass(frozen=True)
class CalibrationText:
    """A text as tokens of one tokenizer, cut into windows that share no target.

    Shapes: n windows, s positions.
    """

    inputs_ns: Tensor
    targets_ns: Tensor
    """END_OF_TEXT and padding are ``IGNORED``."""
    text_bytes: int
    """UTF-8 bytes that the targets stand for."""

    @property
    def tokens(self) -> int:
        """Positions that are computed, padding among them."""
        return self.inputs_ns.numel()

    @property
    def windows_at_once(self) -> int:
        """As many as have ``MICRO_BATCH_TOKENS``, at least one."""
        return max(MICRO_BATCH_TOKENS // self.inputs_ns.shape[1], 1)

    def batches(self, device: torch.device, most_windows: int | None = None) -> list[tuple[Tensor, Tensor]]:
        """Inputs and targets ``bs`` of at most ``windows_at_once`` each, or of fewer."""
        windows = min(self.windows_at_once, most_windows or self.windows_at_once)
        inputs, targets = self.inputs_ns.to(device), self.targets_ns.to(device)
        return list(zip(torch.split(inputs, windows), torch.split(targets, windows), strict=True))

    def bits_per_byte(self, nats: float) -> float:
        """Of a cross-entropy that is summed over all targets.

        Raises:
            InvalidInput: it is no finite number.
        """
        if not math.isfinite(nats):
            reason = f"its loss on the corpus is {nats}"
            raise InvalidInput(FIELD, reason, "give the weights of a run that did not diverge")
        return nats / (math.log(2) * self.text_bytes)


def calibration_texts(corpus: CachedCorpus, size: int) -> tuple[str, ...]:
    """Heads of the first training documents in the order of their hashes, ``size`` bytes together where there are.

    Each gives at most one part in ``SMALLEST_VALIDATION_DOCUMENTS``, as for the validation text. They are kept below
    the storage, so that a corpus is read once for all trials.

    Raises:
        InvalidInput: the corpus cannot be read.
    """
    key = content_key(FORMAT, "calibration", corpus.fingerprint, corpus.validation_bytes, size)

    def write(folder: Path) -> None:
        texts = list(heads(corpus.split.train, size, max(size // SMALLEST_VALIDATION_DOCUMENTS, 1)))
        (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")

    def is_whole(folder: Path) -> bool:
        return _read_texts(folder, size) is not None

    folder = cached_folder(corpus.storage / FOLDER / f"calibration-{key}", is_whole, write)
    texts = _read_texts(folder, size)
    if texts is None:
        raise InvalidInput("inherit.calibration_bytes", f"{folder} was changed by another program", "try again")
    return texts


def _read_texts(folder: Path, size: int) -> tuple[str, ...] | None:
    try:
        content = read_capped(folder / "texts.json", MAX_JSON_GROWTH * size + 2**16, "calibration", "try again")
        texts = json.loads(content)
    except (InvalidInput, ValueError):
        return None
    whole = isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts)
    return tuple(texts) if whole else None


def parents_tokens(
    texts: Sequence[str], source: Source, rows: int, sequence_length: int, field: str = FIELD
) -> CalibrationText:
    """Texts as tokens of a parent's tokenizer, by the ids of its file; the parent's tables have ``rows`` rows.

    Raises:
        InvalidInput: a token of the texts has no row in the tables.
    """
    vocabulary = source.tokenizer.get_vocab()
    ids = np.full(max(vocabulary.values()) + 1, -1, dtype=np.int64)
    for token, number in vocabulary.items():
        ids[number] = source.ids.get(token, -1)
    text = _cut(texts, source.tokenizer, ids, source.ids.get(source.special[0]), sequence_length)
    used = torch.cat([text.inputs_ns.flatten(), text.targets_ns[text.targets_ns != IGNORED]])
    outside = used[(used < 0) | (used >= rows)]
    if outside.numel():
        reason = f"has {rows} tokens, and a tokenizer that writes the corpus with the number {outside[0].item()}"
        raise InvalidInput(field, reason, "put the tokenizer that it was trained with into the folder")
    return text


def students_tokens(texts: Sequence[str], tokenizer: Tokenizer, sequence_length: int) -> CalibrationText:
    """Texts as tokens of a tokenizer of ours."""
    return _cut(texts, tokenizer, np.arange(tokenizer.get_vocab_size()), END_OF_TEXT_ID, sequence_length)


def _cut(
    texts: Sequence[str], tokenizer: Tokenizer, ids: Ids, separator: int | None, sequence_length: int
) -> CalibrationText:
    """Cut texts into windows, each with a target, the token that ends a document before each text.

    Where a tokenizer has no such token, the first token of all is given and not predicted.
    """
    parts: list[Ids] = []
    text_bytes = sum(map(utf8_size, texts))
    for text, encoding in zip(texts, tokenizer.encode_batch(list(texts), add_special_tokens=False), strict=True):
        if separator is not None:
            parts.append(np.array([separator]))
        elif not parts:
            text_bytes -= utf8_size(text[: encoding.offsets[0][1]])
        parts.append(ids[encoding.ids])
    tokens = np.concatenate(parts)
    targets = tokens[1:] if separator is None else np.where(tokens[1:] == separator, IGNORED, tokens[1:])
    padding = -targets.size % sequence_length
    inputs = np.pad(tokens[:-1], (0, padding), mode="edge")
    targets = np.pad(targets, (0, padding), constant_values=IGNORED)
    inputs_ns, targets_ns = (torch.from_numpy(ids.reshape(-1, sequence_length)) for ids in (inputs, targets))
    predicted_n = (targets_ns != IGNORED).any(1)
    return CalibrationText(inputs_ns[predicted_n], targets_ns[predicted_n], text_bytes)
