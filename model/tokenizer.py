"""Byte-level BPE (GPT-2 report, section 2.2) on the ``tokenizers`` library: every text has tokens and comes back."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from model.config import MAX_VOCABULARY_SIZE
from model.errors import InvalidInput
from model.files import read_capped

END_OF_TEXT = "<|endoftext|>"
"""Separates documents; the only special token, with id 0."""
END_OF_TEXT_ID = 0
MIN_VOCABULARY_SIZE = 257
"""256 bytes and ``END_OF_TEXT``."""
MAX_TOKENIZER_BYTES = 64 * 2**20
"""Largest tokenizer file that is read; a token takes 53 to 67 bytes of it (measured), so it holds a million."""
_MIN_PAIR_COUNT = 2
"""A pair seen once is not merged: the merge could never be used again on that text (assumed)."""

_REMEDY = "use a tokenizer.json that train_tokenizer wrote"


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
    tokenizer = _byte_level_bpe()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=_MIN_PAIR_COUNT,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
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


def save(tokenizer: Tokenizer, path: Path) -> None:
    """Write the tokenizer as JSON, in the form that ``load_tokenizer`` and ``transformers`` read."""
    path.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a byte-level BPE tokenizer from a file that nobody has checked.

    Raises:
        InvalidInput: the file is missing, larger than ``MAX_TOKENIZER_BYTES``, not tokenizer JSON, or another kind of
            tokenizer than ``train_tokenizer`` makes.
    """
    content = read_capped(path, MAX_TOKENIZER_BYTES, "tokenizer", _REMEDY)
    try:
        file = _TokenizerFile.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInput("tokenizer", f"{path} is not a tokenizer ({where} {first['msg']})", _REMEDY) from error
    _check_kind(file, path)
    return _build(file, path)


class _Bpe(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    vocab: dict[str, int]
    merges: list[tuple[str, str]]


class _TokenizerFile(BaseModel):
    """A ``tokenizer.json``; what is not named here must be as in an untrained tokenizer of ours."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: _Bpe

    def settings(self) -> dict[str, Any]:
        """Everything but what training fills in."""
        return self.model_dump(exclude={"model": {"vocab", "merges"}})


def _byte_level_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.encode_special_tokens = True  # a document that spells END_OF_TEXT does not end there
    return tokenizer


def _check_kind(file: _TokenizerFile, path: Path) -> None:
    untrained = _byte_level_bpe()
    untrained.add_special_tokens([END_OF_TEXT])
    expected = _TokenizerFile.model_validate_json(untrained.to_str()).settings()
    vocabulary = file.model.vocab
    faults = {
        f"is not byte-level BPE with the special token {END_OF_TEXT} alone": file.settings() != expected,
        f"gives {END_OF_TEXT} another id than {END_OF_TEXT_ID}": vocabulary.get(END_OF_TEXT) != END_OF_TEXT_ID,
        "lacks some of the 256 bytes": not set(pre_tokenizers.ByteLevel.alphabet()) <= set(vocabulary),
        "skips or repeats token ids": sorted(vocabulary.values()) != list(range(len(vocabulary))),
        "merges tokens that it does not have": not _merges_are_known(file.model),
        f"has more than {MAX_VOCABULARY_SIZE} tokens": len(vocabulary) > MAX_VOCABULARY_SIZE,
    }
    for fault, present in faults.items():
        if present:
            raise InvalidInput("tokenizer", f"{path} {fault}", _REMEDY)


def _merges_are_known(model: _Bpe) -> bool:
    return all({first, second, first + second} <= model.vocab.keys() for first, second in model.merges)


def _build(file: _TokenizerFile, path: Path) -> Tokenizer:
    """Let the library parse only what was checked: on other settings it may abort instead of raising."""
    try:
        tokenizer = Tokenizer.from_str(file.model_dump_json())
    except Exception as error:  # the library raises bare Exception
        raise InvalidInput("tokenizer", f"{path} is not a tokenizer ({error})", _REMEDY) from error
    tokenizer.encode_special_tokens = True
    return tokenizer
