"""What a format adds to the files that every export holds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studies.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Exporter:
    """One export format."""

    write: Callable[[Recipe, Path], Recipe]
    """Adds the format's files to a folder that holds ``tokenizer.json``; returns the recipe as it is to be recorded."""
    usage: str
    """Markdown for the README: how others load the folder."""
