"""Text files, read with a cap on everything: plain or gzip, whole, in pieces, or as JSON lines. No torch."""

import gzip
import io
import json
import os
import sysconfig
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from model.errors import InvalidInput
from trainer.config import BuiltinCorpus, Corpus, JsonlCorpus, TextCorpus

MAX_CORPUS_BYTES = 16 * 2**30
"""Largest corpus after decompression (assumed: what a machine with 64 GiB can hold as text)."""
MAX_DOCUMENT_BYTES = 64 * 2**20
"""Largest file of a folder, and largest JSON line, after decompression (assumed)."""
MAX_FILES = 1_000_000
"""Most files of one corpus (assumed)."""
PIECE_CHARACTERS = 8192
"""Largest piece of a text that is cut (assumed: a few contexts of 256 tokens)."""
NOT_LIBRARY_TEXT = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"})
"""Folders of the standard library that hold installed packages, tests or compiled files."""


class RawDocument(NamedTuple):
    """A document's text and the bytes that were read for it."""

    text: str
    size: int


def corpus_files(corpus: Corpus, field: str) -> tuple[Path, ...]:
    """List the files of ``corpus``, sorted; nothing is opened.

    Raises:
        InvalidInput: a file is missing, is not a regular file, or is a link out of the corpus's folder.
    """
    if isinstance(corpus, BuiltinCorpus):
        return _files_below(Path(sysconfig.get_path("stdlib")), (".py",), field, NOT_LIBRARY_TEXT)
    path = Path(corpus.path)
    if isinstance(corpus, TextCorpus) and path.is_dir():
        return _files_below(path, (".txt", ".txt.gz"), field)
    if not path.is_file():
        raise InvalidInput(f"{field}.path", f"{path} is not a file", "give the path of an existing text file")
    return (path,)


def _files_below(
    folder: Path, endings: tuple[str, ...], field: str, skipped: frozenset[str] = frozenset()
) -> tuple[Path, ...]:
    """Files with one of ``endings``; linked folders, and those named in ``skipped``, are not entered."""
    real_folder = folder.resolve()
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in skipped]
        found.extend(Path(parent, name) for name in names if name.endswith(endings))
        if len(found) > MAX_FILES:
            raise InvalidInput(
                f"{field}.path", f"{folder} holds more than {MAX_FILES} files", "join them into JSON lines"
            )
    for path in found:
        if path.is_symlink() and not path.resolve().is_relative_to(real_folder):
            raise InvalidInput(f"{field}.path", f"{path} is a link out of its folder", "replace the link by the file")
        if not path.is_file():
            raise InvalidInput(f"{field}.path", f"{path} is not a regular file", "remove it from the folder")
    return tuple(sorted(found))


def read_documents(corpus: Corpus, field: str) -> Iterator[RawDocument]:
    """Read ``corpus`` document by document; an empty text is a part of the corpus that holds none.

    Raises:
        InvalidInput: what cannot be read, by file and line, or more than ``MAX_CORPUS_BYTES``.
    """
    files = corpus_files(corpus, field)
    if isinstance(corpus, JsonlCorpus):
        documents = _guarded(files[0], field, partial(_json_lines, text_field=corpus.text_field, field=field))
    elif is_cut(corpus):
        documents = _guarded(files[0], field, _pieces_of_file)
    else:
        documents = (document for path in files for document in _guarded(path, field, partial(_whole, field=field)))
    total = 0
    for document in documents:
        total += document.size
        if total > MAX_CORPUS_BYTES:
            reason = f"the corpus is larger than {MAX_CORPUS_BYTES} bytes after decompression"
            raise InvalidInput(field, reason, "use a part of it")
        yield document


def is_cut(corpus: Corpus) -> bool:
    """Whether the corpus is a single text file, whose documents are pieces cut at line ends."""
    return isinstance(corpus, TextCorpus) and not Path(corpus.path).is_dir()


def pieces(stream: io.TextIOBase, largest: int = PIECE_CHARACTERS) -> Iterator[str]:
    """Cut a text at line ends into pieces of at most ``largest`` characters; a longer line is cut inside."""
    lines: list[str] = []
    size = 0
    for line in iter(lambda: stream.readline(largest), ""):
        if lines and size + len(line) > largest:
            yield "".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield "".join(lines)


def _guarded(path: Path, field: str, read: Callable[[Path], Iterator[RawDocument]]) -> Iterator[RawDocument]:
    """Turn what can go wrong in reading one file into an InvalidInput that names it."""
    try:
        yield from read(path)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{field}.path", f"{path} is not UTF-8 ({error.reason})", "convert it to UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInput(
            f"{field}.path", f"{path} is not a whole gzip file ({error})", "compress it again"
        ) from error
    except OSError as error:
        raise InvalidInput(f"{field}.path", f"{path} cannot be read ({error.strerror})", "check the file") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def _whole(path: Path, field: str) -> Iterator[RawDocument]:
    with _open(path) as stream:
        content = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        reason = f"{path} is larger than {MAX_DOCUMENT_BYTES} bytes"
        raise InvalidInput(f"{field}.path", reason, "cut it into several files, or give it as the corpus's only file")
    yield RawDocument(content.decode("utf-8"), len(content))


def _pieces_of_file(path: Path) -> Iterator[RawDocument]:
    with _open(path) as stream, io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as text:
        for piece in pieces(text):
            yield RawDocument(piece, len(piece.encode()))


def _json_lines(path: Path, text_field: str, field: str) -> Iterator[RawDocument]:
    with _open(path) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(MAX_DOCUMENT_BYTES + 1), b""), start=1):
            where = f"line {number} of {path}"
            if len(line) > MAX_DOCUMENT_BYTES:
                reason = f"{where} is longer than {MAX_DOCUMENT_BYTES} bytes"
                raise InvalidInput(f"{field}.path", reason, "cut the document into several lines")
            text = _text_of_line(line, text_field, where, field) if line.strip() else ""
            yield RawDocument(text, len(line))


def _text_of_line(line: bytes, text_field: str, where: str, field: str) -> str:
    try:
        record: Any = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{field}.path", f"{where} is not JSON ({error})", "write one JSON object a line") from error
    text = record.get(text_field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        reason = f"{where} has no text under {text_field!r}"
        raise InvalidInput(f"{field}.text_field", reason, "name the field that holds the document")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{field}.path", f"{where} holds half a surrogate pair", "write valid Unicode") from error
    return text
