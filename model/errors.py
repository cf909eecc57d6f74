"""The root of every error that Formulary raises on purpose.

Deeper folders derive their own from these two; the HTTP layer renders all of them in one handler and the
command line prints them as one line.
"""

from pathlib import Path

MAX_FIELD = 200
MAX_SAID = 1000
"""Characters of a field's name, and of a reason or a remedy, that are shown (assumed: ours are shorter)."""


class FormularyError(Exception):
    """An error whose text is written for the user: what is wrong and what to do."""


class InvalidInput(FormularyError):
    """The user's input cannot be used.

    What it says is cut where it is long, and what is not printable is escaped: names come from outside, too.

    Args:
        field: dotted path of the offending field, e.g. ``space.depth.low``.
        reason: what is wrong with it, with the offending value.
        remedy: what to write instead.
    """

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        self.field = _one_line(field, MAX_FIELD)
        self.reason = _one_line(reason, MAX_SAID)
        self.remedy = _one_line(remedy, MAX_SAID)
        super().__init__(f"{self.field}: {self.reason}; {self.remedy}")


class WriteFailed(FormularyError, OSError):
    """A file could not be written, most often because the disk is full; what was half written has been removed.

    It is an ``OSError``, because the same may go well when there is room.

    Args:
        path: what was being written.
        reason: what the system said.
    """

    def __init__(self, path: Path, reason: str) -> None:
        place, said = _one_line(str(path), MAX_FIELD), _one_line(reason, MAX_SAID)
        super().__init__(f"{place} could not be written: {said}; free some space there, or give another place")


def _one_line(text: str, length: int) -> str:
    cut = text if len(text) <= length else f"{text[: length - 1]}…"
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in cut)
