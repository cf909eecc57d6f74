"""Folders to tar archives and back: written as a stream, read back with limits."""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from model.errors import InvalidInput

CHUNK_BYTES = 2**20
MAX_MEMBERS = 10_000
"""Most files in an archive (assumed: an export holds about ten)."""
MAX_UNPACKED_BYTES = 2**38
"""Most bytes in an archive, 256 GiB (assumed: weights of 64 billion parameters in float32)."""


def stream_archive(folder: Path) -> Iterator[bytes]:
    """The regular files below ``folder`` as an uncompressed tar, in the order of their names.

    Names, sizes and bytes only: no owner and no time, so that the same folder gives the same archive.
    """
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        member = tarfile.TarInfo(path.relative_to(folder).as_posix())
        member.size = path.stat().st_size
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield from _chunks(path)
        yield bytes(-member.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def save(chunks: Iterable[bytes], path: Path) -> None:
    """Write a downloaded archive to ``path``, refusing one beyond ``MAX_UNPACKED_BYTES``."""
    written = 0
    with path.open("wb") as file:
        for chunk in chunks:
            written += len(chunk)
            if written > MAX_UNPACKED_BYTES:
                raise InvalidInput("archive", f"is longer than {MAX_UNPACKED_BYTES} bytes", "export a smaller model")
            file.write(chunk)


def unpack(archive: Path, folder: Path) -> list[str]:
    """Unpack ``archive`` into ``folder`` and list the files.

    Raises:
        InvalidInput: the archive is damaged, too large, or holds anything that is not a plain file inside it.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            members = _checked(tar)
            tar.extractall(folder, members, filter="data")
    except tarfile.TarError as error:
        raise InvalidInput("archive", f"cannot be unpacked ({error})", "download the export again") from error
    return [member.name for member in members]


def _checked(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    members: list[tarfile.TarInfo] = []
    total = 0
    for member in tar:
        members.append(member)
        total += member.size
        if not member.isreg():
            raise InvalidInput("archive", f"{member.name!r} is not a plain file", "download the export again")
        if len(members) > MAX_MEMBERS or total > MAX_UNPACKED_BYTES:
            reason = f"holds more than {MAX_MEMBERS} files or {MAX_UNPACKED_BYTES} bytes"
            raise InvalidInput("archive", reason, "export a smaller model")
    return members
