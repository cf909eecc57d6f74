"""Byte-level BPE (GPT-2 report, section 2.2) learned from text: every text has tokens and comes back."""

from collections.abc import Iterable

from tokenizers import Tokenizer, trainers

from model.config import MAX_VOCABULARY_SIZE
from model.errors import InvalidInput
from model.tokenizer.pairs import BYTE_CHARACTERS, END_OF_TEXT, BytePairs, build

MIN_VOCABULARY_SIZE = 257
"""256 bytes and ``END_OF_TEXT``."""
_MIN_PAIR_COUNT = 2
"""A pair seen once is not merged: the merge could never be used again on that text (assumed)."""


def train_tokenizer(documents: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Learn exactly ``vocabulary_size`` tokens: ``END_OF_TEXT``, the 256 bytes and merges of frequent pairs.

    The same documents in the same order give the same tokenizer, byte for byte.

    Raises:
        InvalidInput: the size is out of range, or the text has too few repeated pairs to reach it.
    """
    if not MIN_VOCABULARY_SIZE <= vocabulary_size <= MAX_VOCABULARY_SIZE:
        raise InvalidInput(
            "vocabulary_size",
            f"{vocabulary_size} is outside {MIN_VOCABULARY_SIZE} to {MAX_VOCABULARY_SIZE}",
            f"give at least {MIN_VOCABULARY_SIZE}: 256 bytes and {END_OF_TEXT}",
        )
    tokenizer = build(BytePairs(special=(), tokens=(), merges=()))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=_MIN_PAIR_COUNT,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(BYTE_CHARACTERS),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    reached = tokenizer.get_vocab_size()
    if reached != vocabulary_size:
        raise InvalidInput(
            "vocabulary_size",
            f"the text yields only {reached} of the {vocabulary_size} tokens",
            f"give at most {reached}, or more text",
        )
    return tokenizer
