"""A large tokenizer of somebody else's, read from a file that nobody has checked."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer

from model.config import MAX_VOCABULARY_SIZE
from model.errors import InvalidInput
from model.tokenizer.merges import check_lengths, last_merges, merges_by_rank
from model.tokenizer.pairs import BYTE_TOKENS, END_OF_TEXT, GPT2, Alphabet, BytePairs, Pair, build

END_OF_TEXT_NAMES = (END_OF_TEXT, "<|end_of_text|>", "<|end▁of▁sentence|>", "<｜end▁of▁sentence｜>", "</s>", "<eos>")
"""How published tokenizers spell the token that ends a document; the first that is there wins. They are those of
GPT-2, Llama 3, DeepSeek, SentencePiece and Gemma."""
REMEDY = (
    "give a SentencePiece BPE .model, a byte-level or byte-fallback BPE tokenizer.json, a vocab.json beside its "
    "merges.txt, or tiktoken ranks"
)


@dataclass(frozen=True)
class Source:
    """A tokenizer as its file says, without merges where the file has none."""

    kind: str
    """In words, e.g. ``SentencePiece BPE``."""
    special: tuple[str, ...]
    """The first ends a document."""
    tokens: tuple[str, ...]
    """In the order of their priority, those of the 256 bytes among them."""
    ids: Mapping[str, int]
    """The file's own ids; a token that was added here has none."""
    fingerprint: str
    """SHA-256 of the content."""
    merges: tuple[Pair, ...] | None = None
    alphabet: Alphabet = "bytes"
    pattern: str | None = GPT2
    ignore_merges: bool = False
    notes: tuple[str, ...] = ()
    """What was changed or assumed in reading it, for the user."""

    @property
    def smallest(self) -> int:
        """Fewest tokens of a tokenizer cut out of it: the special ones and the bytes."""
        return len(self.special) + 256

    @property
    def largest(self) -> int:
        """All tokens, those that no text is encoded as among them."""
        return len(self.special) + len(self.tokens)

    def check_size(self, size: int, known: bool = True, field: str = "vocabulary_size") -> None:
        """Check that a tokenizer of ``size`` tokens can be cut out of it.

        Without ``known`` merges are not recovered for it, which takes seconds: a size within some tokens of the whole
        may then turn out to be too large later.

        Raises:
            InvalidInput: names the sizes that can be reached.
        """
        largest = len(self.special) + len(self.last) if known else self.largest
        if not self.smallest <= size <= largest:
            reason = f"{size} tokens cannot be cut out of this {self.kind} tokenizer"
            parts = f"{len(self.special)} special tokens and 256 bytes always stay"
            raise InvalidInput(field, reason, f"give {self.smallest} to {largest} ({parts})")

    @cached_property
    def pairs(self) -> BytePairs:
        """The whole tokenizer, its merges recovered where the file has none (seconds for 100 000 tokens)."""
        merges = self.merges
        if merges is None:
            fallback = set(BYTE_TOKENS["characters"]) if self.alphabet == "characters" else set()
            merges = merges_by_rank([token for token in self.tokens if token not in fallback])
        return BytePairs(self.special, self.tokens, merges, self.alphabet, self.pattern, self.ignore_merges)

    @cached_property
    def last(self) -> dict[str, Pair | None]:
        """How each token that can be reached is made (``last_merges``)."""
        return last_merges(self.pairs)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The whole tokenizer, ready to encode."""
        return build(self.pairs)


def checked(source: Source, name: str, field: str) -> Source:
    """Return the source if every text can have tokens and come back.

    Raises:
        InvalidInput: bytes are missing, there are too many tokens, or they are too long.
    """
    missing = set(BYTE_TOKENS[source.alphabet]) - set(source.tokens)
    if missing:
        reason = f"{name} lacks {len(missing)} of the 256 byte tokens, so that some texts do not come back"
        raise InvalidInput(field, reason, "use a tokenizer with all bytes, or train one")
    if source.largest > MAX_VOCABULARY_SIZE:
        raise InvalidInput(field, f"{name} has {source.largest} tokens", f"use one with at most {MAX_VOCABULARY_SIZE}")
    named = (*source.special, *source.tokens)
    if "" in named or len(set(named)) != len(named):
        raise refused(name, "has a token without text, or one twice", field)
    check_lengths(source.tokens, field)
    return source


def special_first(special: Sequence[str]) -> tuple[str, ...]:
    """Special tokens with the one that ends a document in front; ``END_OF_TEXT`` is added where none is."""
    ending = next((name for name in END_OF_TEXT_NAMES if name in special), None)
    if ending is None:
        return (END_OF_TEXT, *special)
    return (ending, *(name for name in special if name != ending))


def refused(name: str, reason: str, field: str) -> InvalidInput:
    """An error that names the file, says what it is and what could be used instead."""
    return InvalidInput(field, f"{name} {reason}", REMEDY)


def fingerprint(*contents: bytes) -> str:
    """SHA-256 over the files that a tokenizer consists of."""
    parts = b"".join(hashlib.sha256(content).digest() for content in contents)
    return hashlib.sha256(contents[0]).hexdigest() if len(contents) == 1 else hashlib.sha256(parts).hexdigest()


Reader = Callable[[bytes, str, str], Source]
"""Reads a file's content; the name and the field are for errors."""
