"""Token shards on disk: flat arrays of token ids, one END_OF_TEXT before each document, and a manifest."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from tokenizers import Tokenizer

from model.config import FrozenConfig
from model.errors import InvalidInput
from model.tokenizer import END_OF_TEXT_ID, MIN_VOCABULARY_SIZE
from model.tokenizer.counting import Counts
from model.tokenizer.coverage import MIN_COVERAGE
from model.tokenizer.pairs import Alphabet, token_bytes
from trainer.text.corpus import Split, SplitUnit

ENCODED_AT_ONCE = 4 * 2**20
"""Characters handed to the tokenizer in one call, which encodes documents in parallel (assumed)."""

FORMAT = 2
"""Of the files below; a cache of another one is not read."""

TokenArray = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


class Manifest(FrozenConfig):
    """What a folder of shards holds."""

    corpus_fingerprint: str
    tokenizer_fingerprint: str
    split_unit: SplitUnit
    vocabulary_size: int
    train_tokens: int
    """END_OF_TEXT tokens included."""
    train_bytes: int
    """UTF-8 bytes of the training text."""
    validation_tokens: int
    validation_bytes: int
    covering_vocabulary: int
    """See ``covering_vocabulary``; of the training side."""

    def sizes(self) -> dict[str, int]:
        """Bytes of each shard file."""
        width = token_type(self.vocabulary_size).itemsize
        return {"train.bin": self.train_tokens * width, "validation.bin": self.validation_tokens * width}


def token_type(vocabulary_size: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """Smallest integers that hold every token."""
    return np.dtype(np.uint16) if vocabulary_size <= 2**16 else np.dtype(np.uint32)


def token_sizes(tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """UTF-8 bytes of each token of a tokenizer of ours; special tokens stand for no text and have 0."""
    alphabet: Alphabet = "characters" if tokenizer.model.byte_fallback else "bytes"
    special = tokenizer.get_added_tokens_decoder()
    sizes = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    for token, number in tokenizer.get_vocab().items():
        sizes[number] = 0 if number in special else token_bytes(token, alphabet)
    return sizes


def write_shards(folder: Path, split: Split, tokenizer: Tokenizer, fingerprints: tuple[str, str]) -> None:
    """Encode both sides of ``split`` into ``folder``; ``fingerprints`` are those of the corpus and the tokenizer.

    Raises:
        InvalidInput: the tokens do not stand for the bytes of the text, because the tokenizer changes it.
    """
    train = _write_side(folder / "train.bin", split.train, tokenizer, split.train_bytes)
    validation = _write_side(folder / "validation.bin", split.validation, tokenizer, split.validation_bytes)
    manifest = Manifest(
        corpus_fingerprint=fingerprints[0],
        tokenizer_fingerprint=fingerprints[1],
        split_unit=split.unit,
        vocabulary_size=tokenizer.get_vocab_size(),
        train_tokens=int(train.sum()),
        train_bytes=split.train_bytes,
        validation_tokens=int(validation.sum()),
        validation_bytes=split.validation_bytes,
        covering_vocabulary=covering_vocabulary(train),
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=2))


def _write_side(path: Path, texts: Sequence[str], tokenizer: Tokenizer, expected_bytes: int) -> Counts:
    """Write one shard; return how often each token occurs in it."""
    sizes, dtype = token_sizes(tokenizer), token_type(tokenizer.get_vocab_size())
    counts = np.zeros(len(sizes), dtype=np.int64)
    text_bytes = 0
    with path.open("wb") as shard:
        for group in _groups(texts):
            for encoding in tokenizer.encode_batch_fast(group, add_special_tokens=False):
                ids = np.array([END_OF_TEXT_ID, *encoding.ids], dtype=dtype)
                shard.write(ids.tobytes())
                counts += np.bincount(ids, minlength=len(counts))
                text_bytes += int(sizes[ids].sum())
    if text_bytes != expected_bytes:
        reason = f"its tokens stand for {text_bytes} bytes of a text of {expected_bytes}"
        raise InvalidInput("tokenizer", reason, "use a tokenizer that changes nothing in the text")
    return counts


def covering_vocabulary(counts: Counts) -> int:
    """The smallest vocabulary, most frequent tokens first, that covers more than 90 % of a text (F1 of the paper).

    Args:
        counts: occurrences of each token of a tokenizer of ours, by id. Its bytes are kept whatever their number;
            ``END_OF_TEXT`` is none of the text's tokens.
    """
    of_text = counts.copy()
    of_text[END_OF_TEXT_ID] = 0
    base, learned = of_text[:MIN_VOCABULARY_SIZE], np.sort(of_text[MIN_VOCABULARY_SIZE:])[::-1]
    covered = np.cumsum([base.sum(), *learned])
    more = int(np.searchsorted(covered, MIN_COVERAGE * of_text.sum(), side="right"))
    return min(MIN_VOCABULARY_SIZE + more, len(counts))


def _groups(texts: Sequence[str]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= ENCODED_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder whose shards have the sizes it declares; None where they do not."""
    try:
        manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
        whole = all((folder / name).stat().st_size == size for name, size in manifest.sizes().items())
    except (OSError, ValidationError):
        return None
    return manifest if whole else None


def map_shard(path: Path, vocabulary_size: int) -> TokenArray:
    """Map a shard into memory, read-only."""
    return np.memmap(path, dtype=token_type(vocabulary_size), mode="r")
