"""Formulary's own format: the config, the tokenizer and the page, nothing that a seed can draw again."""

from pathlib import Path

from studies.exports.exporter import Exporter
from studies.recipe import Recipe


def write(recipe: Recipe, folder: Path) -> Recipe:
    """Record the recipe as it is: the initial weights follow from its seed."""
    return recipe


EXPORTER = Exporter(write=write, usage="")
