"""A cache of folders addressed by content: what exists under its own name is complete.

One writer fills a folder under another name, holding a file lock, and then renames it, so that neither a second process
nor a killed one can leave half an entry behind.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def content_key(*parts: str | int) -> str:
    """Hash what determines an entry."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cached_folder(folder: Path, is_whole: Callable[[Path], bool], write: Callable[[Path], None]) -> Path:
    """Return ``folder``, after filling it with ``write`` unless ``is_whole`` accepts what is there."""
    if is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if is_whole(folder):
            return folder
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        write(partial)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file so that a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)
