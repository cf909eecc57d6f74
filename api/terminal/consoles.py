"""Where commands write: results to standard output, messages and progress to standard error."""

import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

PIPE_WIDTH = 160
"""Columns of a table that goes into a pipe or a file (assumed)."""


def results() -> Console:
    """Standard output."""
    return _console(stderr=False)


def messages() -> Console:
    """Standard error."""
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def print_warnings(study: Mapping[str, Any]) -> None:
    """Say on standard error what a study that was created leaves out."""
    for warning in study["warnings"]:
        messages().print(f"warning: {printable(warning)}", soft_wrap=True)


def printable(text: str) -> str:
    """Text without control characters, which could steer a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def short(value: Any) -> str:
    """A number in about four significant figures, e.g. ``0.002`` or ``1,048,576``; other values as they are."""
    if not isinstance(value, float):
        return printable(str(value))
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def short_parameters(parameters: Mapping[str, Any]) -> str:
    """Parameters on one line, e.g. ``depth=4 learning_rate=0.002``."""
    return " ".join(f"{printable(name)}={short(value)}" for name, value in parameters.items())
