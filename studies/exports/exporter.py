"""What a format adds to the files that every export holds, and how it is tried."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.exports.run import Run
from studies.exports.smoke.result import SmokeTest
from studies.recipe import Recipe
from trainer.config import PretrainConfig


@dataclass(frozen=True, slots=True)
class Exporter:
    """One export format."""

    write: Callable[[Run, str, Path], Recipe]
    """Adds the format's files for a run, under a title, to a folder that holds ``tokenizer.json``; returns the recipe
    as it is to be recorded."""
    smoke: Callable[[Run, Path, Path], SmokeTest]
    """Tries the folder; the last argument is the storage, where the corpus lies as tokens.

    Raises:
        SmokeTestFailed: it does not work, or has not the recipe's parameters.
    """
    usage: Callable[[Run], str]
    """Markdown for the README: the commands that start it."""
    has_weights: bool = False
    """Whether the folder holds the initial weights, those included that are inherited."""
    differences: Callable[[PretrainConfig], Sequence[str]] = lambda _: ()
    """What goes otherwise there than in ``formulary pretrain``, a sentence each."""
