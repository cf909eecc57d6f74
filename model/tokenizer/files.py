"""Tokenizers of our own as files: written for ``tokenizers`` and ``transformers``, and read back with distrust."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from tokenizers import Tokenizer

from model.config import MAX_VOCABULARY_SIZE
from model.errors import InvalidInput
from model.files import read_capped
from model.tokenizer.pairs import (
    BYTE_TOKENS,
    END_OF_TEXT_ID,
    FALLBACK_TOKENS,
    GPT2,
    MAX_TOKENIZER_BYTES,
    PATTERNS,
    Alphabet,
    BytePairs,
    build,
)

_REMEDY = "use a tokenizer.json that Formulary wrote; `formulary tokenizer compress` makes one of any other"


def save(tokenizer: Tokenizer, path: Path) -> None:
    """Write the tokenizer as JSON, in the form that ``load_tokenizer`` and ``transformers`` read."""
    path.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")


def save_folder(tokenizer: Tokenizer, folder: Path) -> None:
    """Write what ``AutoTokenizer.from_pretrained(folder)`` loads: the tokenizer, and how text is to be treated.

    Text that spells a special token stays text, and decoding changes nothing.
    """
    save(tokenizer, folder / "tokenizer.json")
    end_of_text = tokenizer.id_to_token(END_OF_TEXT_ID)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end_of_text,
        "eos_token": end_of_text,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer that was trained or compressed here, from a file that nobody has checked.

    Raises:
        InvalidInput: the file is missing, larger than ``MAX_TOKENIZER_BYTES``, not tokenizer JSON, or another kind of
            tokenizer than ours.
    """
    content = read_capped(path, MAX_TOKENIZER_BYTES, "tokenizer", _REMEDY)
    try:
        file = _TokenizerFile.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput("tokenizer", f"{path} is not a tokenizer ({where} {first['msg']})", _REMEDY) from error
    pairs = _pairs(file)
    _check(file, pairs, path)
    return build(pairs)


class _Bpe(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    vocab: dict[str, int]
    merges: list[tuple[str, str]]
    byte_fallback: bool
    ignore_merges: bool


class _Special(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    id: int
    content: str


class _TokenizerFile(BaseModel):
    """A ``tokenizer.json``; what is not named here must be as ``build`` makes it."""

    model_config = ConfigDict(extra="allow", strict=True)

    added_tokens: list[_Special]
    pre_tokenizer: Any
    model: _Bpe

    def settings(self) -> dict[str, Any]:
        """Everything but what training fills in."""
        return self.model_dump(exclude={"model": {"vocab", "merges"}})


def _pairs(file: _TokenizerFile) -> BytePairs:
    """What the file holds; whether ``build`` makes the same of it is still to be checked."""
    special = tuple(token.content for token in file.added_tokens)
    ordered = sorted(file.model.vocab, key=file.model.vocab.__getitem__)
    alphabet: Alphabet = "characters" if file.model.byte_fallback else "bytes"
    return BytePairs(
        special=special,
        tokens=tuple(ordered[len(special) :]),
        merges=tuple(file.model.merges),
        alphabet=alphabet,
        pattern=_pattern(file.pre_tokenizer),
        ignore_merges=file.model.ignore_merges,
    )


def _pattern(pre_tokenizer: Any) -> str | None:
    """The name of the pattern that the file uses; None where it has none that we know."""
    if not isinstance(pre_tokenizer, dict):
        return None
    if pre_tokenizer.get("type") == "ByteLevel" and pre_tokenizer.get("use_regex") is True:
        return GPT2
    text = json.dumps(pre_tokenizer)
    return next((name for name, pattern in PATTERNS.items() if json.dumps({"Regex": pattern}) in text), None)


def _check(file: _TokenizerFile, pairs: BytePairs, path: Path) -> None:
    vocabulary = file.model.vocab
    faults = {
        "has no special token": not pairs.special,
        "repeats a special token": len(set(pairs.special)) != len(pairs.special),
        "does not number its special tokens first": [vocabulary.get(token) for token in pairs.special]
        != list(range(len(pairs.special))),
        "skips or repeats token ids": sorted(vocabulary.values()) != list(range(len(vocabulary))),
        "has a token without text": "" in vocabulary,
        "lacks some of the 256 bytes": not set(BYTE_TOKENS[pairs.alphabet]) <= set(pairs.tokens),
        "merges tokens that it does not have": not merges_are_known(pairs),
        f"has more than {MAX_VOCABULARY_SIZE} tokens": len(vocabulary) > MAX_VOCABULARY_SIZE,
    }
    for fault, present in faults.items():
        if present:
            raise InvalidInput("tokenizer", f"{path} {fault}", _REMEDY)
    without_text = build(replace(pairs, tokens=(), merges=()))
    if _TokenizerFile.model_validate_json(without_text.to_str()).settings() != file.settings():
        raise InvalidInput("tokenizer", f"{path} has settings that may lose text or differ from ours", _REMEDY)


def merges_are_known(pairs: BytePairs) -> bool:
    """Whether the parts and the product of every merge are tokens of text."""
    known = set(pairs.tokens)
    if pairs.alphabet == "characters":
        known -= set(FALLBACK_TOKENS)
    return all({first, second, first + second} <= known for first, second in pairs.merges)
