"""tiktoken ranks: a line for each token, its bytes in base64 and its rank, which is its id and its priority."""

import base64
import binascii
from types import MappingProxyType

from model.config import MAX_VOCABULARY_SIZE
from model.tokenizer.pairs import BYTE_CHARACTERS, GPT2
from model.tokenizer.source import Source, checked, fingerprint, refused, special_first

PATTERN_OF_SIZE = MappingProxyType(
    {50256: GPT2, 50280: GPT2, 100256: "cl100k", 128000: "cl100k", 151643: "qwen", 199998: "o200k"}
)
"""How text is cut into words, by the number of ranks: r50k, p50k and cl100k, Llama 3, Qwen 2, o200k. Files of ranks do
not say it."""
OTHER_PATTERN = "cl100k"


def read_tiktoken(content: bytes, name: str, field: str) -> Source:
    """Read ranks; ``END_OF_TEXT`` is added, since files of ranks hold no special tokens.

    Raises:
        InvalidInput: a line is not a token and its rank, or ranks repeat.
    """
    ranks: dict[str, int] = {}
    lines = content.splitlines()
    if len(lines) > MAX_VOCABULARY_SIZE:
        raise refused(name, f"has {len(lines)} lines", field)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            spelled, rank = line.split()
            token = "".join(BYTE_CHARACTERS[byte] for byte in base64.b64decode(spelled, validate=True))
            ranks[token] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise refused(name, f"has no token and rank in line {number} ({error})", field) from error
    ordered = sorted(ranks, key=ranks.__getitem__)
    if len(set(ranks.values())) != len(lines) - sum(not line.strip() for line in lines):
        raise refused(name, "repeats a token or a rank", field)
    pattern = PATTERN_OF_SIZE.get(len(ranks))
    source = Source(
        kind="tiktoken ranks",
        special=special_first(()),
        tokens=tuple(ordered),
        ids=ranks,
        fingerprint=fingerprint(content),
        pattern=pattern or OTHER_PATTERN,
        notes=() if pattern else (f"the file does not say how text is cut into words; as {OTHER_PATTERN} does",),
    )
    return checked(source, name, field)
