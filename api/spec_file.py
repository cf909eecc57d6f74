"""A study spec as a person gives it: one YAML (or JSON) file."""

import math
from pathlib import Path
from typing import Any

from model.errors import InvalidInput


def read_spec(path: Path) -> dict[str, Any]:
    """Read the document in ``path``; what it says is checked by the service.

    Raises:
        InvalidInput: the file cannot be read, is not UTF-8 or not YAML (with line and column), or holds no mapping of
            plain values.
    """
    document = _read_document(path)
    if not isinstance(document, dict):
        raise InvalidInput(str(path), "holds no fields", "write a study spec: 'name: …', 'space: …', 'proxy: …'")
    return document


def read_points(path: Path) -> list[Any]:
    """Read the list of points in ``path``; what they say is checked by the service.

    Raises:
        InvalidInput: as for ``read_spec``, or it holds no list.
    """
    document = _read_document(path)
    if not isinstance(document, list) or not document:
        raise InvalidInput(str(path), "holds no points", "write a list: '- {depth: 4, ffn_ratio: 2.5}'")
    return document


def read_value(text: str, field: str) -> object:
    """Read a value as a spec has it, e.g. a number.

    Raises:
        InvalidInput: it is not YAML, or no plain value; ``field`` says where it stands.
    """
    from studies.specs.yaml import load_spec_yaml

    try:
        value = load_spec_yaml(text)
        _check_plain(value, "")
    except InvalidInput as error:
        raise InvalidInput(field, error.reason, error.remedy) from error
    return value


def _read_document(path: Path) -> object:
    from studies.specs.yaml import MAX_SPEC_BYTES, load_spec_yaml  # other commands start sooner without it

    try:
        document = load_spec_yaml(_read_text(path, MAX_SPEC_BYTES))
        _check_plain(document, "")
    except InvalidInput as error:
        raise InvalidInput(str(path), error.reason, error.remedy) from error
    return document


def _check_plain(value: object, field: str) -> None:
    """Check that a value, and all that it holds, can be sent as JSON.

    Raises:
        InvalidInput: the first that cannot; ``field`` is the dotted place of ``value``.
    """
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict) and not (isinstance(key, str) and _is_unicode(key)):
                raise InvalidInput("", f"{field or 'the spec'} has the key {key!r:.60}", "use a text, in quotes")
            _check_plain(child, f"{field}.{key}".lstrip("."))
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput("", f"{field} is {value}", "write a finite number")
    elif isinstance(value, str) and not _is_unicode(value):
        raise InvalidInput("", f"{field} holds half a surrogate pair", "write the character itself")
    elif not isinstance(value, str | int | float | None):
        remedy = "use numbers, texts, lists and mappings only; put a date in quotes"
        raise InvalidInput("", f"{field} is a {type(value).__name__}, which JSON lacks", remedy)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _read_text(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            return file.read(limit + 1).decode("utf-8")
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read ({error.strerror})", "give the path of a spec file") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(str(path), f"is not UTF-8 (byte {error.start})", "save the file as UTF-8") from error
