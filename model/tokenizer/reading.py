"""Which kind of tokenizer a path holds, decided by what is in the file."""

import re
from pathlib import Path

from model.errors import InvalidInput
from model.files import read_capped
from model.tokenizer.huggingface import read_tokenizer_json, read_vocabulary
from model.tokenizer.pairs import MAX_TOKENIZER_BYTES
from model.tokenizer.sentencepiece import read_sentencepiece
from model.tokenizer.source import REMEDY, Source, refused
from model.tokenizer.tiktoken import read_tiktoken

NAMES = ("tokenizer.json", "tokenizer.model", "vocab.json")
"""What is looked for in a folder, in this order."""
_MODEL = re.compile(rb'"model"\s*:\s*\{')
"""What a ``tokenizer.json`` holds; a vocabulary gives its tokens numbers."""


def find_tokenizer(path: Path, field: str = "tokenizer") -> Path:
    """The file itself, or the one that a folder holds.

    Raises:
        InvalidInput: there is none.
    """
    if not path.is_dir():
        return path
    found = next((path / name for name in NAMES if (path / name).is_file()), None)
    if found is None:
        raise InvalidInput(field, f"{path} holds none of {', '.join(NAMES)}", REMEDY)
    return found


def tokenizer_files(file: Path) -> tuple[Path, ...]:
    """All files that a tokenizer is read from, whose first is given; merges that are missing are left out."""
    merges = _merges_beside(file)
    return (file, merges) if "vocab" in file.stem and merges.is_file() else (file,)


def read_tokenizer(path: Path, field: str = "tokenizer") -> Source:
    """Read a large tokenizer of any supported kind; nothing in the file is run.

    Raises:
        InvalidInput: the file is missing, too large, broken, of another kind, or a tokenizer whose texts do not all
            come back.
    """
    file = find_tokenizer(path, field)
    content = read_capped(file, MAX_TOKENIZER_BYTES, field, REMEDY)
    if file.suffix == ".json":
        return _read_json(file, content, field)
    if _is_tiktoken(content):
        return read_tiktoken(content, file.name, field)
    return read_sentencepiece(content, file.name, field)


def _read_json(file: Path, content: bytes, field: str) -> Source:
    if _MODEL.search(content):
        return read_tokenizer_json(content, file.name, field)
    merges = _checked_merges(file, field)
    return read_vocabulary(content, read_capped(merges, MAX_TOKENIZER_BYTES, field, REMEDY), file.name, field)


def _merges_beside(file: Path) -> Path:
    """The merges of a vocabulary: ``merges.txt`` beside ``vocab.json``, ``x_merges.txt`` beside ``x_vocab.json``."""
    return file.with_name(file.stem.replace("vocab", "merges") + ".txt")


def _checked_merges(file: Path, field: str) -> Path:
    merges = _merges_beside(file)
    if "vocab" not in file.stem or not merges.is_file():
        raise refused(file.name, f"is a vocabulary without {merges.name} beside it", field)
    if merges.resolve().parent != file.resolve().parent:
        raise InvalidInput(field, f"{merges} is a link out of its folder", "replace the link by the file")
    return merges


def _is_tiktoken(content: bytes) -> bool:
    """Whether the first line is base64 and a number; a protocol buffer starts with a byte that is no such text."""
    first = content[:2000].split(b"\n", 1)[0].split()
    return len(first) == 2 and first[1].isdigit() and first[0].isascii()
