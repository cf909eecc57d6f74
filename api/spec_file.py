"""A study spec as a person gives it: one YAML (or JSON) file."""

import json
from pathlib import Path
from typing import Any

from model.errors import InvalidInput


def read_spec(path: Path) -> dict[str, Any]:
    """Read the document in ``path``; what it says is checked by the service.

    Raises:
        InvalidInput: the file cannot be read, is not UTF-8 or not YAML (with line and column), or holds no mapping of
            plain values.
    """
    from studies.spec_yaml import MAX_SPEC_BYTES, load_spec_yaml  # other commands start sooner without it

    try:
        document = load_spec_yaml(_read_text(path, MAX_SPEC_BYTES))
        json.dumps(document, allow_nan=False)
    except InvalidInput as error:
        raise InvalidInput(str(path), error.reason, error.remedy) from error
    except (TypeError, ValueError) as error:
        remedy = "use numbers, texts, lists and mappings only; put a date in quotes"
        raise InvalidInput(str(path), f"holds a value that JSON lacks ({error})", remedy) from error
    if not isinstance(document, dict):
        raise InvalidInput(str(path), "holds no fields", "write a study spec: 'name: …', 'space: …', 'proxy: …'")
    return document


def _read_text(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            return file.read(limit + 1).decode("utf-8")
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read ({error.strerror})", "give the path of a spec file") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(str(path), f"is not UTF-8 (byte {error.start})", "save the file as UTF-8") from error
