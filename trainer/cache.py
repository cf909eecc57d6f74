"""A cache of folders addressed by content: what exists under its own name is complete.

One writer fills a folder under another name, holding a file lock, and then renames it, so that neither a second process
nor a killed one can leave half an entry behind.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError

from model.errors import WriteFailed


def content_key(*parts: str | int) -> str:
    """Hash what determines an entry."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def named_write_errors(path: Path) -> Iterator[None]:
    """Say of a failure to write, most often a full disk, which file or folder was being written.

    Raises:
        WriteFailed: the system or safetensors could not write.
    """
    try:
        yield
    except WriteFailed:
        raise
    except (OSError, SafetensorError) as error:
        raise WriteFailed(path, getattr(error, "strerror", None) or str(error)) from error


@contextmanager
def appearing(path: Path, partial: Path) -> Iterator[None]:
    """Fill ``partial`` in the block; then it takes the place of ``path``, and is removed if the block fails.

    Raises:
        WriteFailed: the system or safetensors could not write.
    """
    try:
        with named_write_errors(path):
            yield
            if path.is_dir():
                shutil.rmtree(path)
            partial.replace(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        partial.unlink(missing_ok=True)
        raise


def cached_folder(folder: Path, is_whole: Callable[[Path], bool], write: Callable[[Path], None]) -> Path:
    """Return ``folder``, after filling it with ``write`` unless ``is_whole`` accepts what is there.

    Raises:
        WriteFailed: the system could not write.
    """
    if is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if is_whole(folder):
            return folder
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        with appearing(folder, partial):
            partial.mkdir()
            write(partial)
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file so that a reader sees all of it or none.

    Raises:
        WriteFailed: the system could not write.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with appearing(path, partial):
        partial.write_bytes(content)
