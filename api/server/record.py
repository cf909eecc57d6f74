"""server.json: where the service of a home answers, and the key that opens it."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from model.errors import InvalidInput
from model.files import read_capped
from studies.process_identity import has_ended

MAX_BYTES = 64 * 2**10
"""Largest file that is read (assumed; one that was written here has some 300 bytes)."""
REMEDY = "delete it, or start the server again"


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What the file holds."""

    base_url: str
    key: str
    process: str | None = None
    """Identity of the serving process (``studies.process_identity``); None in a file that a person wrote."""
    ended: bool = False
    """Whether the service has ended in an orderly way; its key goes on with the next one."""

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read the file; None when there is none.

        Raises:
            InvalidInput: it cannot be read, or is no such file.
        """
        if not os.path.lexists(path):
            return None
        content = read_capped(path, MAX_BYTES, str(path), REMEDY)
        try:
            document = json.loads(content)
            base_url, key = _line(document["base_url"]), _line(document["key"])
            return cls(base_url, key, _process(document), bool(document.get("ended")))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidInput(str(path), "does not hold base_url and key", REMEDY) from error

    def write(self, path: Path) -> None:
        """Write the file so that it appears whole, for its owner's eyes only."""
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=2)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def as_ended(self) -> Self:
        """The record of the same service after its end."""
        return replace(self, ended=True)

    def is_over(self) -> bool:
        """Whether the service is known to have ended; always false for one that a person named."""
        return self.ended or (self.process is not None and has_ended(self.process))


def _line(text: str) -> str:
    """What can stand in a request; raises ValueError or AttributeError for anything else."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(text)
    return text


def _process(document: Any) -> str | None:
    process = document.get("process")
    if process is None:
        return None
    has_ended(process)  # raises where it is no identity
    return str(process)
