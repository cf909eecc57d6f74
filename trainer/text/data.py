"""Text to batches: a tokenizer for each vocabulary size, mapped token shards, batches as a function of the step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from model.errors import InvalidInput
from model.tokenizer import load_tokenizer
from trainer.cache import cached_folder, content_key, file_fingerprint
from trainer.config import TRAINED, Corpus, TokenizerSource
from trainer.results import Value
from trainer.text.cached_corpus import CachedCorpus
from trainer.text.shards import FORMAT, Manifest, TokenArray, map_shard, read_manifest, token_sizes, write_shards
from trainer.text.tokenizers import GIVEN, ChosenTokenizer, choose_tokenizer


@dataclass(frozen=True)
class PreparedData:
    """A corpus as tokens, ready to train on."""

    manifest: Manifest
    tokenizer: Tokenizer
    tokenizer_path: Path
    train: TokenArray
    validation: TokenArray
    token_bytes: npt.NDArray[np.int64]
    """UTF-8 bytes of each token; only special tokens have 0."""
    tokenizer_attributes: Mapping[str, Value] = field(default_factory=dict)
    """Where the tokenizer came from, as trials store it."""

    @property
    def bytes_per_token(self) -> float:
        """Average over the training side."""
        return self.manifest.train_bytes / self.manifest.train_tokens


def prepare(
    corpus: Corpus,
    vocabulary_size: int,
    validation_bytes: int,
    storage: Path,
    tokenizer_path: Path | None = None,
    field: str = "proxy.corpus",
    tokenizer_source: TokenizerSource = TRAINED,
) -> PreparedData:
    """Return the tokens of a corpus, from the cache below ``storage`` where it holds them.

    Without ``tokenizer_path`` a tokenizer is made from the training side as ``tokenizer_source`` says, once for each
    vocabulary size.

    Raises:
        InvalidInput: the corpus cannot be read or is too small, or the tokenizer does not fit it.
    """
    source = CachedCorpus(corpus, validation_bytes, storage, field)
    if tokenizer_path is None:
        chosen = choose_tokenizer(source, tokenizer_source, vocabulary_size)
    else:
        chosen = ChosenTokenizer(tokenizer_path, GIVEN)
    path = chosen.path
    tokenizer = load_tokenizer(path)
    if tokenizer.get_vocab_size() != vocabulary_size:
        reason = f"{path.name} has {tokenizer.get_vocab_size()} tokens, the architecture has {vocabulary_size}"
        raise InvalidInput("tokenizer", reason, "give the tokenizer of this vocabulary size")
    folder = _shards(source, tokenizer, file_fingerprint(path))
    manifest = read_manifest(folder)
    if manifest is None:
        raise InvalidInput(field, f"the shards in {folder} were changed by another program", "try again")
    train, validation = (map_shard(folder / name, vocabulary_size) for name in manifest.sizes())
    return PreparedData(manifest, tokenizer, path, train, validation, token_sizes(tokenizer), chosen.attributes)


def _shards(source: CachedCorpus, tokenizer: Tokenizer, tokenizer_fingerprint: str) -> Path:
    key = content_key(FORMAT, source.fingerprint, source.validation_bytes, tokenizer_fingerprint)

    def is_whole(folder: Path) -> bool:
        return read_manifest(folder) is not None

    def write(folder: Path) -> None:
        write_shards(folder, source.split, tokenizer, (source.fingerprint, tokenizer_fingerprint))

    return cached_folder(source.storage / "shards" / key, is_whole, write)


class Batches:
    """Sequences of S + 1 tokens in a seeded order that is new in every epoch; a pure function of the step.

    Raises:
        InvalidInput: the training side is shorter than one sequence.
    """

    def __init__(self, tokens: TokenArray, sequence_length: int, batch_tokens: int, seed: int) -> None:
        self.tokens, self.sequence_length, self.seed = tokens, sequence_length, seed
        self.batch_sequences = batch_tokens // sequence_length
        self.sequences = (tokens.size - 1) // sequence_length
        """Different sequences; an epoch shows each once."""
        if self.sequences < 1:
            reason = f"the training side has {tokens.size} tokens, a sequence needs {sequence_length + 1}"
            raise InvalidInput("proxy.corpus", reason, "use a larger corpus")
        self._order = lru_cache(maxsize=2)(self._draw_order)

    def batch(self, step: int) -> npt.NDArray[np.int64]:
        """Tokens (sequences, S + 1) of ``step``, counted from 1; inputs and targets overlap by S - 1."""
        return self.sequences_at(np.arange((step - 1) * self.batch_sequences, step * self.batch_sequences))

    def is_known(self, step: int) -> bool:
        """Whether it is settled what ``step`` reads."""
        return True

    def sequences_at(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Tokens (positions, S + 1) of the sequences that are read at those positions of the run, counted from 0."""
        epochs, places = np.divmod(positions, self.sequences)
        chosen = np.empty(positions.size, dtype=np.int64)
        for epoch in np.unique(epochs).tolist():
            chosen[epochs == epoch] = self._order(epoch)[places[epochs == epoch]]
        starts = chosen * self.sequence_length
        places = starts[:, None] + np.arange(self.sequence_length + 1)
        tokens: npt.NDArray[np.int64] = self.tokens[places].astype(np.int64)
        return tokens

    def unique_tokens(self, step: int) -> int:
        """Targets seen for the first time in the first ``step`` steps; the others were repeated."""
        return min(step * self.batch_sequences, self.sequences) * self.sequence_length

    def _draw_order(self, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng((self.seed, epoch)).permutation(self.sequences)
