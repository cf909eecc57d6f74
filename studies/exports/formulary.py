"""Formulary's own format: the config, the tokenizer and the page, nothing that a seed can draw again."""

from pathlib import Path

from studies.exports.exporter import Exporter
from studies.exports.run import Run
from studies.exports.smoke.training import smoke
from studies.recipe import Recipe


def write(run: Run, title: str, folder: Path) -> Recipe:
    """Record the recipe as it is: the initial weights follow from its seed."""
    return run.recipe


def usage(run: Run) -> str:
    """Nothing beside what every README tells."""
    return ""


EXPORTER = Exporter(write=write, smoke=smoke, usage=usage)
