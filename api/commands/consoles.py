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


def printable(text: str) -> str:
    """Text without control characters, which could steer a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def short(value: Any) -> str:
    """A value in at most four significant figures; whole numbers in full."""
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value))


def short_parameters(parameters: Mapping[str, Any]) -> str:
    """Parameters on one line, e.g. ``depth=4 learning_rate=0.002``."""
    return " ".join(f"{printable(name)}={short(value)}" for name, value in parameters.items())
