"""Pydantic's errors as one line for the user: the field, what is wrong with it, what to write."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from model.config import FrozenConfig
from model.errors import InvalidInput
from search.standard import closest

Containers = Mapping[tuple[str, ...], tuple[type[FrozenConfig], ...]]

LATER_FIELDS = frozenset({"compute_budget"})
"""Fields of a spec that this version does not support yet."""

MAX_SHOWN = 60
"""Characters of an offending value that a message shows."""

Path = tuple[str | int, ...]


def first_error(error: ValidationError, document: object, containers: Containers) -> InvalidInput:
    """The first of pydantic's errors, and how many more there are."""
    found = by_path(error.errors(include_url=False), document)
    path, detail = next(iter(found.items()))
    reason, remedy = _EXPLAIN.get(detail["type"], _explain_value)(detail, path, containers)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return InvalidInput(_field(path, reason, containers), reason, remedy + more)


def by_path(errors: Iterable[Mapping[str, Any]], document: object) -> dict[Path, Mapping[str, Any]]:
    """The errors by where they lie in the document; the most telling one where members of a union have one each."""
    found: dict[Path, list[Mapping[str, Any]]] = {}
    for error in errors:
        found.setdefault(_path(error, document), []).append(error)
    return {path: min(each, key=lambda one: str(one["type"]).endswith("_type")) for path, each in found.items()}


def explain(detail: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong with a value that is no part of a spec, and what to write instead."""
    return _EXPLAIN.get(detail["type"], _explain_value)(detail, tuple(detail["loc"]), {})


def _field(path: Path, reason: str, containers: Containers) -> str:
    """The dotted path; a message about a whole mapping starts with the name of the field that it blames."""
    blamed = reason.split()[0]
    inside = any(blamed in model.model_fields for model in _models(path, containers))
    return ".".join(map(str, (*path, blamed) if inside else path)) or "spec"


def _path(detail: Mapping[str, Any], document: object) -> Path:
    """Where an error lies, without the names of union members that pydantic adds: they are no keys of the document.

    The members of a union each have an error of their own, at the same path.
    """
    location: Sequence[str | int] = detail["loc"]
    path: list[str | int] = []
    here = document
    for part in location:
        absent = detail["type"] == "missing" and part == location[-1]
        if isinstance(here, Mapping) and (part in here or absent):
            here = here.get(part)
        elif isinstance(here, Sequence) and not isinstance(here, str) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            continue
        path.append(part)
    return tuple(path)


def _models(path: Path, containers: Containers) -> tuple[type[FrozenConfig], ...]:
    for pattern, models in containers.items():
        if len(pattern) == len(path) and all(
            want in ("*", given) for want, given in zip(pattern, map(str, path), strict=True)
        ):
            return models
    return ()


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _explain_extra(detail: Mapping[str, Any], path: Path, containers: Containers) -> tuple[str, str]:
    name = str(path[-1])
    if len(path) == 1 and name in LATER_FIELDS:
        return "is not supported by this version", "leave it out"
    known = sorted({field for model in _models(path[:-1], containers) for field in model.model_fields})
    if name in known:
        return "does not belong to this kind", "leave it out"
    guess = closest(name, known)
    if not known:
        return "is not a known field", "leave it out"
    return "is not a known field", f"did you mean {guess}?" if guess else f"use one of {', '.join(known)}"


def _explain_missing(detail: Mapping[str, Any], path: Path, containers: Containers) -> tuple[str, str]:
    return "is missing", "add it"


def _explain_message(detail: Mapping[str, Any], path: Path, containers: Containers) -> tuple[str, str]:
    """One of our own messages, which say reason and remedy."""
    reason, _, remedy = str(detail["ctx"]["error"]).partition("; ")
    return reason, remedy or "correct it"


def _explain_tag(detail: Mapping[str, Any], path: Path, containers: Containers) -> tuple[str, str]:
    context = detail["ctx"]
    name = str(context["discriminator"]).strip("'")
    kinds = [get_args(model.model_fields[name].annotation) for model in _models(path, containers)]
    known = ", ".join(kind for members in kinds for kind in members)
    tag = context.get("tag")
    return (f"{name} {tag!r} is unknown" if tag else f"{name} is missing"), f"write {name}: one of {known}"


def _explain_value(detail: Mapping[str, Any], path: Path, containers: Containers) -> tuple[str, str]:
    message = str(detail["msg"]).removeprefix("Input should be ").removeprefix("Input should ")
    wanted = _PLAIN_WORDS.get(detail["type"], message).format(**detail.get("ctx", {}))
    return f"{_show(detail['input'])} does not fit", f"it should be {wanted}"


_PLAIN_WORDS = {
    "tuple_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
    "model_attributes_type": "a mapping of names to values",
    "string_type": "a text; put it in quotes",
    "string_too_short": "a text of at least {min_length} characters",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "string_unicode": "a text without lone surrogates",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of a sensible size",
    "string_too_long": "a text of at most {max_length} characters",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "bool_type": "a number, a text, true or false",
}
"""Where pydantic speaks of Python's types; ``bool_type`` is the first member of a choice's union."""


_EXPLAIN = {
    "extra_forbidden": _explain_extra,
    "missing": _explain_missing,
    "value_error": _explain_message,
    "union_tag_not_found": _explain_tag,
    "union_tag_invalid": _explain_tag,
}
