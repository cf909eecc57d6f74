"""YAML as a person writes it, read as plain values only, and written so that it is read back."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from model.errors import InvalidInput

MAX_SPEC_BYTES = 2**20
"""Longest spec text (assumed: a spec is a page)."""
MAX_VALUES = 100_000
"""Most values of a document, aliases counted each time they are used: a few aliases of aliases are billions of values
(assumed)."""
MAX_NESTING = 50
"""Deepest nesting (assumed; a spec nests five deep)."""

FLOAT = re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
"""Numbers like ``1e-3``, which YAML 1.1 takes for text (its section 10.2.1.4 in 1.2 does not)."""

_FLOAT_TAG, _MERGE_TAG = "tag:yaml.org,2002:float", "tag:yaml.org,2002:merge"


class SpecLoader(yaml.SafeLoader):
    """Safe YAML that knows ``1e-3``, refuses a key given twice, and has no merge keys (they can explode)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, refusing a repeated key, which would silently hide the first."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is no plain value", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r:.60} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Build a value; a text that is none of its tag's is refused by line, where PyYAML fails in many ways."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            problem = f"{node.value!r:.60} cannot be read as {kind}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


SpecLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _MERGE_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
SpecLoader.add_implicit_resolver(_FLOAT_TAG, FLOAT, list("-+.0123456789"))


class SpecDumper(yaml.SafeDumper):
    """Quotes what ``SpecLoader`` would take for a number, and writes texts of several lines as such."""


SpecDumper.yaml_implicit_resolvers = SpecLoader.yaml_implicit_resolvers
OTHER_BREAKS = re.compile("[\x85\u2028\u2029]")
"""What YAML 1.1 takes for the end of a line besides a line feed (section 5.4); quotes let it be escaped."""


def _style(text: str) -> str | None:
    if OTHER_BREAKS.search(text):
        return '"'
    return "|" if "\n" in text else None


SpecDumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text)),
)


def dump_spec_yaml(document: Mapping[str, Any]) -> str:
    """Write plain values as YAML that ``load_spec_yaml`` reads back."""
    style: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "allow_unicode": True, "width": 100}
    text: str = yaml.dump(document, Dumper=SpecDumper, **style)
    return text


def load_spec_yaml(text: str) -> object:
    """Parse YAML (or JSON, which is YAML) into plain values.

    Raises:
        InvalidInput: it is too long, not YAML (with line and column), or too deep or too large once aliases are
            followed.
    """
    if len(text.encode()) > MAX_SPEC_BYTES:
        raise InvalidInput("spec", f"is longer than {MAX_SPEC_BYTES} bytes", "give a study spec")
    try:
        document = yaml.load(text, SpecLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidInput("spec", f"{place}{error.problem or error.context}", "correct the YAML there") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidInput("spec", f"is not YAML ({str(error).splitlines()[0]})", "correct it") from None
    except RecursionError:
        raise InvalidInput("spec", f"is nested deeper than {MAX_NESTING} levels", "write a study spec") from None
    if _count(document, 0, 0) > MAX_VALUES:
        raise InvalidInput("spec", f"holds more than {MAX_VALUES} values", "write it without repeated aliases")
    return document


def _count(value: object, counted: int, depth: int) -> int:
    """Values in a document, counting stops above the limit; an alias counts each time."""
    if depth > MAX_NESTING:
        raise InvalidInput("spec", f"is nested deeper than {MAX_NESTING} levels", "write a study spec")
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    counted += 1
    for child in children:
        if counted > MAX_VALUES:
            break
        counted = _count(child, counted, depth + 1)
    return counted
