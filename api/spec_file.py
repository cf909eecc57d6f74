"""A study spec as a person writes it: one YAML (or JSON) file."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from model.errors import InvalidInput

MAX_SPEC_BYTES = 2**20
"""Longest spec file (assumed: a spec is a page)."""


class _Loader(yaml.SafeLoader):
    """Plain values only, as YAML 1.2 reads numbers (``1e-3`` is one), and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing a repeated key, which would silently hide the first."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"{name!r} is given twice", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_spec(path: Path) -> dict[str, Any]:
    """Read the document in ``path``; what it says is checked by the service.

    Raises:
        InvalidInput: the file is missing, too long, not UTF-8 or not YAML (with line and column), or no mapping.
    """
    text = _read_text(path)
    try:
        document = yaml.load(text, _Loader)
        json.dumps(document, allow_nan=False)
    except yaml.MarkedYAMLError as error:
        raise InvalidInput(str(path), _where(error), "correct the YAML there") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = f"is not a YAML document of plain values ({str(error).splitlines()[0]})"
        raise InvalidInput(str(path), reason, "use numbers, texts, lists and mappings only") from error
    if not isinstance(document, dict):
        raise InvalidInput(str(path), "holds no fields", "write a study spec: 'name: …', 'space: …', 'proxy: …'")
    return document


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SPEC_BYTES + 1)
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be read ({error.strerror})", "give the path of a spec file") from error
    if len(content) > MAX_SPEC_BYTES:
        raise InvalidInput(str(path), f"is longer than {MAX_SPEC_BYTES} bytes", "give a study spec")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(str(path), f"is not UTF-8 (byte {error.start})", "save the file as UTF-8") from error


def _where(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{place}{error.problem or error.context}"
