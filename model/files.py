"""Reading small files that nobody has checked."""

from pathlib import Path

from model.errors import InvalidInput


def read_capped(path: Path, max_bytes: int, field: str, remedy: str) -> bytes:
    """Read a whole file of at most ``max_bytes``.

    Raises:
        InvalidInput: the file is missing, unreadable, larger, or a pipe or device, which might never end; ``field``
            and ``remedy`` say whose input it was.
    """
    if path.exists() and not path.is_file():
        raise InvalidInput(field, f"{path} is not a regular file", remedy)
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise InvalidInput(field, f"{path} cannot be read ({error.strerror})", remedy) from error
    if len(content) > max_bytes:
        raise InvalidInput(field, f"{path} is larger than {max_bytes} bytes", remedy)
    return content
