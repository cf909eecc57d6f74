"""Where a run's tokenizer comes from: trained on its corpus or cut out of a large one, each kept by content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from model.config import FrozenConfig
from model.errors import InvalidInput
from model.files import read_capped
from model.tokenizer import load_tokenizer, save, train_tokenizer
from model.tokenizer.compression import Method, reduction
from model.tokenizer.counting import Counts, count_tokens
from model.tokenizer.pairs import build
from model.tokenizer.reading import find_tokenizer, read_tokenizer
from model.tokenizer.source import Source
from trainer.cache import cached_folder, content_key
from trainer.config import CompressedTokenizer, TokenizerSource
from trainer.results import Value
from trainer.text.cached_corpus import FORMAT, TOKENIZER_TRAINING_BYTES, CachedCorpus
from trainer.text.corpus import find_below

FIELD = "proxy.tokenizer"
GIVEN: Mapping[str, Value] = {"tokenizer_kind": "given"}
"""Of a tokenizer that an export holds."""
TRAINED: Mapping[str, Value] = {"tokenizer_kind": "trained"}
MAX_JSON_BYTES = 2**16
"""Largest description of a compression that is read (assumed: it takes a few hundred bytes)."""


@dataclass(frozen=True)
class ChosenTokenizer:
    """A tokenizer's file and what trials store about it."""

    path: Path
    attributes: Mapping[str, Value]


class Compression(FrozenConfig):
    """What is kept beside a tokenizer that was cut out of a large one."""

    source_fingerprint: str
    source_size: int
    """V of the large tokenizer."""
    method: Method
    coverage: float
    """Share of the large tokenizer's tokens in the training text that the small one has."""

    @property
    def attributes(self) -> dict[str, Value]:
        """As trials store it."""
        return {
            "tokenizer_kind": "compressed",
            "tokenizer_method": self.method,
            "tokenizer_coverage": self.coverage,
            "tokenizer_source_fingerprint": self.source_fingerprint,
            "tokenizer_source_size": self.source_size,
        }


def resolve_tokenizer(source: TokenizerSource, roots: Sequence[Path], field: str = FIELD) -> TokenizerSource:
    """Replace a path, which may be relative to a root, by the real path below a root; nothing is opened.

    Raises:
        InvalidInput: the path or a link in it leads out of ``roots``, or there is no such file.
    """
    if not isinstance(source, CompressedTokenizer):
        return source
    real = find_below(roots, source.path, f"{field}.path", "train the tokenizer instead (kind: trained)")
    file = find_tokenizer(real, f"{field}.path").resolve()
    if not any(file.is_relative_to(root.resolve()) for root in roots):
        raise InvalidInput(f"{field}.path", f"{source.path!r} leads out of the allowed folders", "replace the link")
    return source.model_copy(update={"path": str(file)})


def check_tokenizer(source: TokenizerSource, sizes: Sequence[int], size_field: str, field: str = FIELD) -> None:
    """Check that a large tokenizer can be read and cut to each of ``sizes``.

    Raises:
        InvalidInput: it cannot be read, or a size cannot be reached.
    """
    if not isinstance(source, CompressedTokenizer):
        return
    large = read_tokenizer(Path(source.path), f"{field}.path")
    for size in sizes:
        large.check_size(size, known=False, field=size_field)


def choose_tokenizer(corpus: CachedCorpus, source: TokenizerSource, vocabulary_size: int) -> ChosenTokenizer:
    """Return the tokenizer of a corpus and a size, from the cache where it is there.

    Raises:
        InvalidInput: the corpus or the large tokenizer cannot be read, or the size cannot be reached.
    """
    if isinstance(source, CompressedTokenizer):
        return _compressed(corpus, source, vocabulary_size)
    return ChosenTokenizer(_trained(corpus, vocabulary_size), TRAINED)


def _trained(corpus: CachedCorpus, vocabulary_size: int) -> Path:
    key = content_key(FORMAT, corpus.fingerprint, corpus.validation_bytes, vocabulary_size, TOKENIZER_TRAINING_BYTES)

    def write(folder: Path) -> None:
        save(train_tokenizer(corpus.texts_for_tokenizer(), vocabulary_size), folder / "tokenizer.json")

    def is_whole(folder: Path) -> bool:
        return _has_size(folder, vocabulary_size)

    return cached_folder(corpus.storage / "tokenizers" / key, is_whole, write) / "tokenizer.json"


def _has_size(folder: Path, vocabulary_size: int) -> bool:
    try:
        return load_tokenizer(folder / "tokenizer.json").get_vocab_size() == vocabulary_size
    except InvalidInput:
        return False


def _compressed(corpus: CachedCorpus, source: CompressedTokenizer, vocabulary_size: int) -> ChosenTokenizer:
    large = read_tokenizer(Path(source.path), f"{FIELD}.path")
    key = content_key(FORMAT, *_counted_key(corpus, large), source.method, vocabulary_size)

    def write(folder: Path) -> None:
        cut = reduction(large, source.method, _source_counts(corpus, large))
        save(build(cut.pairs(vocabulary_size)), folder / "tokenizer.json")
        compression = Compression(
            source_fingerprint=large.fingerprint,
            source_size=large.largest,
            method=source.method,
            coverage=cut.coverage(vocabulary_size),
        )
        (folder / "compression.json").write_text(compression.model_dump_json(indent=2))

    def is_whole(folder: Path) -> bool:
        return _read_compression(folder) is not None and _has_size(folder, vocabulary_size)

    folder = cached_folder(corpus.storage / "tokenizers" / key, is_whole, write)
    compression = _read_compression(folder)
    if compression is None:
        raise InvalidInput(FIELD, f"the tokenizer in {folder} was changed by another program", "try again")
    return ChosenTokenizer(folder / "tokenizer.json", compression.attributes)


def _read_compression(folder: Path) -> Compression | None:
    try:
        content = read_capped(folder / "compression.json", MAX_JSON_BYTES, FIELD, "try again")
        return Compression.model_validate_json(content)
    except (InvalidInput, ValidationError):
        return None


def _counted_key(corpus: CachedCorpus, large: Source) -> tuple[str, str, int, int]:
    return large.fingerprint, corpus.fingerprint, corpus.validation_bytes, TOKENIZER_TRAINING_BYTES


def _source_counts(corpus: CachedCorpus, large: Source) -> Counts:
    """Occurrences of the large tokenizer's tokens on the training side, counted once for all sizes and methods."""
    key = content_key(FORMAT, "counts", *_counted_key(corpus, large))

    def write(folder: Path) -> None:
        counted = count_tokens(large.tokenizer, corpus.texts_for_tokenizer())
        np.save(folder / "counts.npy", counted.counts, allow_pickle=False)

    def is_whole(folder: Path) -> bool:
        return _read_counts(folder, large) is not None

    counts = _read_counts(cached_folder(corpus.storage / "tokenizers" / key, is_whole, write), large)
    if counts is None:
        raise InvalidInput(FIELD, "the counts in the cache were changed by another program", "try again")
    return counts


def _read_counts(folder: Path, large: Source) -> Counts | None:
    try:
        counts = np.load(folder / "counts.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return counts if counts.shape == (large.largest,) and counts.dtype == np.int64 else None
