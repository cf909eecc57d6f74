"""A corpus that is read only when a cache does not hold what is asked of it."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from model.errors import InvalidInput
from trainer.cache import write_atomically
from trainer.config import Corpus
from trainer.text.corpus import Split, corpus_stamp, load_documents, split, utf8_size

FORMAT = 1
"""Part of every cache key; raised whenever the same corpus would give other tokens."""
TOKENIZER_TRAINING_BYTES = 32 * 2**20
"""A tokenizer is made from no more documents once they hold this much (assumed: frequent pairs settle long before)."""


class CachedCorpus:
    """A corpus with its split, and where what is made of it is kept."""

    def __init__(self, corpus: Corpus, validation_bytes: int, storage: Path, field: str) -> None:
        self.corpus, self.validation_bytes, self.storage, self.field = corpus, validation_bytes, storage, field

    @cached_property
    def fingerprint(self) -> str:
        """Of the content; remembered under the stamp of the files, so that unchanged files are not read again."""
        memory = self.storage / "fingerprints" / corpus_stamp(self.corpus, self.field)
        if not memory.exists():
            write_atomically(memory, load_documents(self.corpus, self.field).fingerprint.encode())
        return memory.read_text()

    @cached_property
    def split(self) -> Split:
        """Training and validation texts.

        Raises:
            InvalidInput: the corpus cannot be read, is too small, or changes meanwhile.
        """
        documents = load_documents(self.corpus, self.field)
        if documents.fingerprint != self.fingerprint:
            raise InvalidInput(self.field, "its files changed while they were read", "try again when they are written")
        return split(documents, self.validation_bytes, self.field)

    def texts_for_tokenizer(self) -> Iterator[str]:
        """The training texts that a tokenizer is made from."""
        size = TOKENIZER_TRAINING_BYTES
        for text in self.split.train:
            if size <= 0:
                return
            yield text
            size -= utf8_size(text)
