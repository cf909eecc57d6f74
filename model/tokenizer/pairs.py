"""A BPE tokenizer as plain data, and the one way from it to the ``tokenizers`` library.

Whatever file a tokenizer came from, the library only ever parses what is built here: on foreign settings it may abort
instead of raising, and a foreign regular expression may never end.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

END_OF_TEXT = "<|endoftext|>"
"""Separates documents; other tokenizers may spell it otherwise."""
END_OF_TEXT_ID = 0
"""The first special token, whatever its spelling."""
MAX_TOKENIZER_BYTES = 64 * 2**20
"""Largest tokenizer file that is read; a token takes 53 to 67 bytes of it (measured), so it holds a million."""

Alphabet = Literal["bytes", "characters"]
"""``bytes``: tokens are spelled in GPT-2's characters, one for each byte. ``characters``: tokens are text, and what no
token spells falls back to one token for each of its UTF-8 bytes (SentencePiece's ``byte_fallback``)."""
Pair = tuple[str, str]

_PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
_SHIFTED = [byte for byte in range(256) if byte not in _PRINTABLE]
BYTE_CHARACTERS: tuple[str, ...] = tuple(
    chr(byte) if byte in _PRINTABLE else chr(256 + _SHIFTED.index(byte)) for byte in range(256)
)
"""The character that stands for each byte (GPT-2 report, section 2.2, and its ``encoder.py``)."""
FALLBACK_TOKENS: tuple[str, ...] = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""SentencePiece's spelling of the tokens for single bytes."""
BYTE_TOKENS = MappingProxyType({"bytes": BYTE_CHARACTERS, "characters": FALLBACK_TOKENS})

GPT2 = "gpt2"
"""The pattern that the library has built in (GPT-2 report, section 2.2)."""
PATTERNS = MappingProxyType(
    {
        "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    }
)
"""How published tokenizers cut text into words, beside GPT-2's: tiktoken's cl100k_base (Llama 3 has the same), Qwen 2,
tiktoken's o200k_base. They end on every text; a pattern from a file might not, so no other is used."""


@dataclass(frozen=True)
class BytePairs:
    """A BPE tokenizer: its ids are the positions in ``special + tokens``.

    The 256 tokens of single bytes are among ``tokens``, so that every text has tokens and comes back.
    """

    special: tuple[str, ...]
    """Never the tokens of a text; the first ends a document."""
    tokens: tuple[str, ...]
    merges: tuple[Pair, ...]
    """In the order of their priority."""
    alphabet: Alphabet = "bytes"
    pattern: str | None = GPT2
    """``GPT2`` or a key of ``PATTERNS``; None where whole documents are merged, as SentencePiece does."""
    ignore_merges: bool = False
    """Whether a word that is a token is taken whole before any merge is tried."""

    @property
    def size(self) -> int:
        """V, special tokens included."""
        return len(self.special) + len(self.tokens)


def build(pairs: BytePairs) -> Tokenizer:
    """Make the library's tokenizer; text that spells a special token is text to it."""
    vocabulary = {token: number for number, token in enumerate((*pairs.special, *pairs.tokens))}
    characters = pairs.alphabet == "characters"
    model = models.BPE(
        vocab=vocabulary, merges=list(pairs.merges), byte_fallback=characters, ignore_merges=pairs.ignore_merges
    )
    tokenizer = Tokenizer(model)
    if pairs.pattern == GPT2:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif pairs.pattern is not None:
        words = pre_tokenizers.Split(Regex(PATTERNS[pairs.pattern]), behavior="isolated")
        spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, spelled])
    elif not characters:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    fallback = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.decoder = fallback if characters else decoders.ByteLevel()
    tokenizer.add_special_tokens(list(pairs.special))
    tokenizer.encode_special_tokens = True  # a document that spells END_OF_TEXT does not end there
    return tokenizer


def token_bytes(token: str, alphabet: Alphabet) -> int:
    """UTF-8 bytes of text that an ordinary token stands for."""
    if alphabet == "bytes":
        return len(token)
    return 1 if token in _FALLBACK else len(token.encode())


_FALLBACK = frozenset(FALLBACK_TOKENS)
