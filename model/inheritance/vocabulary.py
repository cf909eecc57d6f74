"""Which token of a parent stands for each token of a student that has another tokenizer: the one of the same bytes.

A token of text that the parent lacks starts as the mean of the parent's tokens into which the parent's tokenizer cuts
its text (fast vocabulary transfer, arXiv 2402.09977, section 3). A special token that the parent lacks, which has no
text, starts as the mean of all (J. Hewitt, "Initializing New Word Embeddings for Pretrained Language Models", 2021).

Shapes: v tokens of the parent, w tokens of the student, d width.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from model.errors import InvalidInput
from model.inheritance.shapes import FIELD
from model.tokenizer.pairs import BYTE_CHARACTERS, END_OF_TEXT_ID, FALLBACK_TOKENS, Alphabet
from model.tokenizer.source import REMEDY, Source

MIN_SHARE = 0.1
"""Smallest share of the student's tokens of more than one byte that must be the parent's too (assumed: below it nearly
all of the student's table would be blends, which are no token's own embedding)."""

_BYTE_OF_CHARACTER = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}
_BYTE_OF_FALLBACK = {token: byte for byte, token in enumerate(FALLBACK_TOKENS)}
_NOT_UTF8 = re.compile("([\udc80-\udcff]+)")
"""Bytes that decode to no character, as ``surrogateescape`` writes them."""


@dataclass(frozen=True)
class TokenMap:
    """Where the student's tokens are in the parent's tables."""

    ids: tuple[int, ...]
    """For each token of the student the parent's id of the same token, -1: none."""
    pieces: Mapping[int, tuple[int, ...]]
    """For each token without a counterpart the parent's ids of its pieces; none: all tokens of the parent."""

    @property
    def share(self) -> float:
        """Share of the student's tokens that the parent has."""
        return sum(number >= 0 for number in self.ids) / len(self.ids)

    def blend(self, table_vd: Tensor) -> Tensor:
        """The student's table ``wd``: the parent's rows, and for tokens without a counterpart means of them."""
        bags = [self.pieces.get(token, (number,)) for token, number in enumerate(self.ids)]
        flat = torch.tensor([number for bag in bags for number in bag], device=table_vd.device)
        starts = torch.tensor([0, *map(len, bags[:-1])], device=table_vd.device).cumsum(0)
        table_wd = F.embedding_bag(flat, table_vd, starts, mode="mean")
        table_wd[[token for token, bag in enumerate(bags) if not bag]] = table_vd.mean(0)
        return table_wd


def map_tokens(student: Tokenizer, parent: Source | None, rows: int, field: str = FIELD) -> TokenMap:
    """Find the student's tokens, of a tokenizer of ours, among those of the parent, whose tables have ``rows`` rows.

    Raises:
        InvalidInput: the parent has no tokenizer, one that does not fit its tables, or one that has hardly a token in
            common with the student's.
    """
    if parent is None:
        reason = "holds no tokenizer, so that nobody knows what its embeddings stand for"
        raise InvalidInput(field, reason, f"put the tokenizer that it was trained with into the folder: {REMEDY}")
    known = _Known.of(parent, rows, field)
    alphabet: Alphabet = "characters" if student.model.byte_fallback else "bytes"
    special = {number: token.content for number, token in student.get_added_tokens_decoder().items()}
    texts = {
        number: None if number in special else _spelled(token, alphabet)
        for token, number in student.get_vocab().items()
    }
    ids = [
        known.special_id(special[number], number) if number in special else known.find(texts[number])
        for number in range(len(texts))
    ]
    _check_share(texts, ids, field)
    missing = {number: texts[number] for number, found in enumerate(ids) if found < 0}
    return TokenMap(tuple(ids), {number: known.cut(spelled) for number, spelled in missing.items()})


@dataclass(frozen=True)
class _Spelled:
    """The bytes that a token stands for."""

    content: bytes
    fallback: bool = False
    """Whether it is the token of a byte that no other token spells, beside which there may be one of the same text."""


@dataclass(frozen=True)
class _Known:
    """The parent's tokens by what they stand for."""

    source: Source
    ids: Mapping[_Spelled, int]
    special: Mapping[str, int]

    @classmethod
    def of(cls, source: Source, rows: int, field: str) -> "_Known":
        """Index the tokens.

        Raises:
            InvalidInput: a token of text, or the one that ends a document, has no row in the parent's tables.
        """
        ending = [source.special[0]] if source.special[0] in source.ids else []
        for token in [*source.tokens, *ending]:
            number = source.ids[token]
            if not 0 <= number < rows:
                reason = f"has {rows} tokens, and a tokenizer in which {token!r:.40} has the number {number}"
                raise InvalidInput(field, reason, "put the tokenizer that it was trained with into the folder")
        spelled = {token: _spelled(token, source.alphabet) for token in source.tokens}
        ids = {of: source.ids[token] for token, of in spelled.items() if of is not None}
        special = {token: source.ids[token] for token in source.special if 0 <= source.ids.get(token, -1) < rows}
        return cls(source, ids, special)

    def special_id(self, token: str, number: int) -> int:
        """The token that ends a document by its part, others by their name."""
        return self.special.get(self.source.special[0] if number == END_OF_TEXT_ID else token, -1)

    def find(self, spelled: _Spelled | None) -> int:
        """The token of the same kind, else of the same bytes."""
        if spelled is None:
            return -1
        other = _Spelled(spelled.content, not spelled.fallback)
        return self.ids.get(spelled, self.ids.get(other, -1))

    def cut(self, spelled: _Spelled | None) -> tuple[int, ...]:
        """The tokens into which the parent's tokenizer cuts the bytes; what is no UTF-8 is cut into bytes."""
        if spelled is None:
            return ()
        parts = _NOT_UTF8.split(spelled.content.decode(errors="surrogateescape"))
        return tuple(number for part in parts for number in self._cut_part(part))

    def _cut_part(self, part: str) -> Iterator[int]:
        if _NOT_UTF8.fullmatch(part):
            yield from (self.find(_Spelled(bytes([byte]))) for byte in part.encode(errors="surrogateescape"))
        else:
            tokens = self.source.tokenizer.encode(part, add_special_tokens=False).tokens
            yield from (self.source.ids[token] for token in tokens)


def _spelled(token: str, alphabet: Alphabet) -> _Spelled | None:
    """What an ordinary token stands for; None where no text is encoded as it."""
    if alphabet == "bytes":
        known = all(character in _BYTE_OF_CHARACTER for character in token)
        return _Spelled(bytes(_BYTE_OF_CHARACTER[character] for character in token)) if known else None
    byte = _BYTE_OF_FALLBACK.get(token)
    return _Spelled(token.encode()) if byte is None else _Spelled(bytes([byte]), fallback=True)


def _check_share(texts: Mapping[int, _Spelled | None], ids: Sequence[int], field: str) -> None:
    longer = [number for number, text in texts.items() if text is not None and len(text.content) > 1]
    found = sum(ids[number] >= 0 for number in longer)
    if longer and found / len(longer) < MIN_SHARE:
        reason = f"has {found} of the {len(longer)} tokens of more than a byte that the network's tokenizer has"
        remedy = "give a parent of the same language, or cut the network's tokenizer out of the parent's"
        raise InvalidInput(field, f"{reason}, less than {MIN_SHARE:.0%}", f"{remedy} (tokenizer: kind: compressed)")
