"""Text sources: found below the allowed folders, deduplicated, and split by document. No torch, and quick."""

import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.errors import InvalidInput
from trainer.config import BuiltinCorpus, Corpus, JsonlCorpus
from trainer.text.reading import PIECE_CHARACTERS, corpus_files, is_cut, pieces, read_documents

CHECKED_BYTES = 32 * 2**20
"""Where ``check_corpus`` stops reading a corpus that is large enough (assumed: about a second)."""
CHECKED_DOCUMENTS = 2_000_000
"""Where ``check_corpus`` stops in any case: a small gzip file can hold a billion lines (assumed: some seconds)."""
SMALLEST_VALIDATION_DOCUMENTS = 8
"""A document gives the validation text at most one part in this many (assumed)."""
LARGEST_RESERVED_SHARE = 0.25
"""Share of the corpus that whole reserved documents may take; beyond it documents are cut first (assumed)."""
CORPUS_OVER_VALIDATION = 2
"""Smallest size of a corpus over that of its validation text (assumed: train on at least as much)."""
MAX_UTF8_CHARACTER = 4
"""Bytes of the longest UTF-8 character (RFC 3629, section 3)."""

SplitUnit = Literal["document", "piece"]


@dataclass(frozen=True, slots=True)
class Documents:
    """A corpus in memory: distinct documents in the order of their content hashes."""

    texts: tuple[str, ...]
    total_bytes: int
    """UTF-8 bytes of ``texts``."""
    fingerprint: str
    """SHA-256 over the sorted hashes of the documents: independent of file names and order."""
    unit: SplitUnit
    """``piece`` where one text file was cut at line ends."""


@dataclass(frozen=True, slots=True)
class Split:
    """Training and validation texts, which share no document."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    """The fixed text: the same bytes for every tokenizer."""
    unit: SplitUnit
    """What was held out: whole documents, or pieces of them where documents are too few or too long."""

    @property
    def train_bytes(self) -> int:
        """UTF-8 bytes of the training side."""
        return sum(map(utf8_size, self.train))

    @property
    def validation_bytes(self) -> int:
        """UTF-8 bytes of the fixed text; as asked, less at most three where a character does not fit."""
        return sum(map(utf8_size, self.validation))


def resolve_corpus(corpus: Corpus, roots: Sequence[Path], field: str = "proxy.corpus") -> Corpus:
    """Replace a path, which may be relative to a root, by the real path below a root; nothing is opened.

    Raises:
        InvalidInput: the path or a link in it leads out of ``roots``, or there is no such file.
    """
    if isinstance(corpus, BuiltinCorpus):
        return corpus
    real = find_below(roots, corpus.path, f"{field}.path", "use the builtin corpus")
    if isinstance(corpus, JsonlCorpus) and real.is_dir():
        raise InvalidInput(f"{field}.path", f"{corpus.path!r} is a folder", "give a file of JSON lines")
    resolved = corpus.model_copy(update={"path": str(real)})
    corpus_files(resolved, field)
    return resolved


def find_below(roots: Sequence[Path], path: str, field: str, alternative: str) -> Path:
    """The real path of what lies at ``path`` below one of ``roots``.

    Raises:
        InvalidInput: there is nothing, or a link leads out; ``alternative`` says what could be done instead.
    """
    real = next(filter(None, (_below(root, path) for root in roots)), None)
    if real is None:
        folders = ", ".join(map(str, roots)) or "none is set"
        reason = f"{path!r} is no file or folder below an allowed folder ({folders})"
        remedy = f"give a path below one of them, allow its folder (FORMULARY_CORPUS_ROOTS), or {alternative}"
        raise InvalidInput(field, reason, remedy)
    return real


def _below(root: Path, path: str) -> Path | None:
    """Return the real path if it exists below ``root``; what the system cannot name does not exist."""
    try:
        real_root = root.resolve()
        real = (real_root / path).resolve()
        return real if real.is_relative_to(real_root) and real.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


def load_documents(corpus: Corpus, field: str = "proxy.corpus") -> Documents:
    """Read a whole corpus, decoded strictly, and drop exact duplicates.

    Raises:
        InvalidInput: what cannot be read, by file and line.
    """
    unit: SplitUnit = "piece" if is_cut(corpus) else "document"
    return _distinct((document.text for document in read_documents(corpus, field)), unit)


def _distinct(texts: Iterable[str], unit: SplitUnit) -> Documents:
    by_hash = {hashlib.sha256(text.encode()).digest(): text for text in texts if text}
    order = sorted(by_hash)
    kept = tuple(by_hash[digest] for digest in order)
    return Documents(kept, sum(map(utf8_size, kept)), hashlib.sha256(b"".join(order)).hexdigest(), unit)


def split(documents: Documents, validation_bytes: int, field: str = "proxy.corpus") -> Split:
    """Reserve documents, in the order of their hashes, until they give ``validation_bytes`` of text.

    Each gives only its head, at most one part in ``SMALLEST_VALIDATION_DOCUMENTS``; the rest of a reserved
    document is used on neither side. Where that would take more than ``LARGEST_RESERVED_SHARE`` of the corpus,
    documents are first cut into pieces at line ends, and pieces are held out (``Split.unit``).

    Raises:
        InvalidInput: the corpus is too small.
    """
    _require(documents.total_bytes, validation_bytes, field)
    part = validation_bytes // SMALLEST_VALIDATION_DOCUMENTS
    validation = tuple(heads(documents.texts, validation_bytes, part))
    reserved = sum(map(utf8_size, documents.texts[: len(validation)]))
    complete = sum(map(utf8_size, validation)) > validation_bytes - MAX_UTF8_CHARACTER
    if complete and reserved <= LARGEST_RESERVED_SHARE * documents.total_bytes:
        return Split(documents.texts[len(validation) :], validation, documents.unit)
    return _split_pieces(documents.texts, validation_bytes, part, field)


def _split_pieces(texts: Sequence[str], validation_bytes: int, part: int, field: str) -> Split:
    largest = min(part, PIECE_CHARACTERS)
    cut = _distinct((piece for text in texts for piece in pieces(io.StringIO(text, newline="\n"), largest)), "piece")
    _require(cut.total_bytes, validation_bytes, field)
    validation = tuple(heads(cut.texts, validation_bytes, validation_bytes))
    return Split(cut.texts[len(validation) :], validation, cut.unit)


def heads(texts: Sequence[str], size: int, largest: int) -> Iterator[str]:
    """Yield heads of ``texts``, each of at most ``largest`` bytes, until they fill ``size`` bytes."""
    missing = size
    for text in texts:
        head = _head(text, min(largest, missing))
        if not head:
            return
        yield head
        missing -= utf8_size(head)


def _head(text: str, size: int) -> str:
    """Cut ``text`` to the most whole characters that fit into ``size`` UTF-8 bytes."""
    return text[:size].encode()[:size].decode(errors="ignore")


def check_corpus(corpus: Corpus, validation_bytes: int, field: str = "proxy.corpus") -> None:
    """Check that a corpus can be read and is large enough; a large one is read up to ``CHECKED_BYTES``
    of different text, or ``CHECKED_DOCUMENTS``.

    Raises:
        InvalidInput: it cannot be read, or is too small.
    """
    enough = max(CHECKED_BYTES, CORPUS_OVER_VALIDATION * validation_bytes)
    seen: set[bytes] = set()
    total = 0
    for document in itertools.islice(read_documents(corpus, field), CHECKED_DOCUMENTS):
        content = document.text.encode()
        digest = hashlib.sha256(content).digest()
        total += 0 if digest in seen else len(content)
        seen.add(digest)
        if total >= enough:
            return
    _require(total, validation_bytes, field)


def _require(total: int, validation_bytes: int, field: str) -> None:
    needed = CORPUS_OVER_VALIDATION * validation_bytes
    if total < needed:
        reason = f"the corpus holds {total} bytes after removing duplicates, {needed} are needed"
        raise InvalidInput(field, reason, "use a larger corpus or a smaller validation_bytes")


def corpus_stamp(corpus: Corpus, field: str = "proxy.corpus") -> str:
    """Hash the names, sizes and times of a corpus's files: equal stamps mean that nothing was written to them.

    Raises:
        InvalidInput: a file is missing.
    """
    stats = [(str(path), path.stat()) for path in corpus_files(corpus, field)]
    files = [(name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in stats]
    return hashlib.sha256(json.dumps([corpus.model_dump(), files]).encode()).hexdigest()


def utf8_size(text: str) -> int:
    """Bytes of ``text`` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
