"""Best width-to-depth ratio by size, from published runs: Gemstones with a law of growth, openlm described only.

The tables lie beside this checkout in ``../shared/data/results``: ``gemstone_width_depth.jsonl`` (Gemstones, McLeish et
al. 2025, arXiv 2502.06857: 22 shapes, 10 checkpoints each; one learning rate a shape, transferred by width and depth)
and ``openlm_depth_width_grid.json`` (Gadre et al. 2024, arXiv 2403.08540: one learning rate for all shapes).

A run's checkpoints share its seed and its shape. At one length each run counts once; over all lengths the interval is
that of a bootstrap over runs, each drawn with all its checkpoints (Cameron, Gelbach and Miller 2008, Rev. Econ. Stat.
90(3), for clusters).
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from studies.formulas.depth_width.architectures import Architecture, build_architectures
from studies.formulas.depth_width.growth import RATIO, growth_laws
from studies.formulas.depth_width.optima import find_optima
from studies.formulas.depth_width.power_law import fit_power_law
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.records import TrialState

RESULTS = Path(__file__).parents[2] / "shared" / "data" / "results"
GEMSTONES, OPENLM = RESULTS / "gemstone_width_depth.jsonl", RESULTS / "openlm_depth_width_grid.json"
CONTEXT = FitContext(("published",), "validation_loss")
SIZE = "total_parameters"
RESAMPLES = 300
MOST_ATTEMPTS = 3
"""Draws for each resample that is kept, since some leave a budget with too few shapes."""
WIDEST = 1.0
"""Width of an interval of the exponent that still says something: from a ratio that stays to one that grows as N."""
KEY = re.compile(r"d=(?P<width>\d+)_l=(?P<depth>\d+)_h=(?P<heads>\d+)-.*-(?P<tokens>\d+)-(?P<warmup>\d+)-[^-]+(-\d+)?$")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table, as an import has them."""

    name: str
    rows: tuple[Observation, ...]


def read_gemstones() -> Table | None:
    """All checkpoints; ``run`` says which rows are of one run. None where the table is not there."""
    if not GEMSTONES.is_file():
        return None
    found = [json.loads(line) for line in GEMSTONES.read_text(encoding="utf-8").splitlines()]
    return Table("Gemstones", tuple(_gemstone(number, row) for number, row in enumerate(found)))


def _gemstone(number: int, row: dict[str, Any]) -> Observation:
    metrics = {
        "validation_loss": float(row["final_loss"]),
        SIZE: float(row["params_active_precise"]),
        "train_tokens": float(row["tokens"]),
    }
    parameters = {"depth": int(row["depth"]), "width": int(row["width"])}
    return Observation(number, TrialState.COMPLETE, parameters, metrics, {"run": str(row["run_name"])})


def read_openlm() -> Table | None:
    """The lowest loss of each shape over heads and warm-up: one learning rate, so that it only describes.

    Sizes are counted as 12 · depth · width² + 2 · vocabulary · width, the vocabulary being that of GPT-NeoX, 50 432
    (derived from the repository's configs: blocks of 4 · width² attention and 8 · width² FFN, an untied head).
    """
    if not OPENLM.is_file():
        return None
    lowest: dict[tuple[int, int], tuple[float, int]] = {}
    for key, loss in json.loads(OPENLM.read_text(encoding="utf-8")).items():
        read = KEY.fullmatch(key)
        if read is None:
            raise ValueError(f"{OPENLM}: {key!r} is not of the form d=WIDTH_l=DEPTH_h=HEADS-…-TOKENS-WARMUP-COOLDOWN")
        shape = int(read["width"]), int(read["depth"])
        lowest[shape] = min(lowest.get(shape, (math.inf, 0)), (float(loss), int(read["tokens"])))
    return Table("openlm", tuple(_openlm(number, *item) for number, item in enumerate(lowest.items())))


def _openlm(number: int, shape: tuple[int, int], found: tuple[float, int]) -> Observation:
    width, depth = shape
    size = 12.0 * depth * width**2 + 2.0 * 50_432 * width
    metrics = {"validation_loss": found[0], SIZE: size, "train_tokens": float(found[1])}
    parameters = {"depth": depth, "width": width, "learning_rate": 3e-3}
    return Observation(number, TrialState.COMPLETE, parameters, metrics, {})


def growth_of(table: Table) -> Formula | None:
    """The law of the best ratio, as an import would have it; None where the table has one budget."""
    laws = growth_laws(table.rows, CONTEXT, build_architectures(table.rows, CONTEXT))
    return next((law for law in laws if law.variant == RATIO.variant), None)


def at_each_length(rows: Sequence[Observation]) -> dict[float, list[Architecture]]:
    """The architectures at each of the lengths, ascending."""
    lengths = sorted({row.metrics["train_tokens"] for row in rows})
    by_length = {length: [row for row in rows if row.metrics["train_tokens"] == length] for length in lengths}
    return {length: list(build_architectures(own, CONTEXT).rows) for length, own in by_length.items()}


def resampled_exponents(lengths: dict[float, list[Architecture]], generator: Generator) -> list[float]:
    """Exponents of the best ratio, the mean over lengths, with runs drawn again and all their checkpoints with them."""
    count = min(len(rows) for rows in lengths.values())
    exponents: list[float] = []
    for _ in range(MOST_ATTEMPTS * RESAMPLES):
        if len(exponents) == RESAMPLES:
            break
        drawn = generator.integers(count, size=count)
        found = [_exponent([rows[place] for place in drawn]) for rows in lengths.values()]
        known = [exponent for exponent in found if exponent is not None]
        if known:
            exponents.append(float(np.mean(known)))
    return exponents


def _exponent(rows: Sequence[Architecture]) -> float | None:
    budgets = find_optima(rows, SIZE, RATIO.value).budgets
    return fit_power_law(budgets).exponent if len(budgets) > 1 else None
