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

from studies.formulas.depth_width.architectures import Architecture, build_architectures
from studies.formulas.depth_width.growth import RATIO, growth_laws
from studies.formulas.depth_width.optima import BUDGET_FACTOR, find_optima
from studies.formulas.depth_width.power_law import fit_power_law
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.records import TrialState

RESULTS = Path(__file__).parents[2] / "shared" / "data" / "results"
GEMSTONES, OPENLM = RESULTS / "gemstone_width_depth.jsonl", RESULTS / "openlm_depth_width_grid.json"
CONTEXT = FitContext(("published",), "validation_loss")
SIZE = "total_parameters"
RESAMPLES = 200
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
    """The lowest loss of each shape over heads and warm-up: one learning rate, which describes and decides nothing.

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


def growth_of(table: Table) -> Formula:
    """The law of the best ratio, as an import would have it.

    Raises:
        StopIteration: the table has one budget.
    """
    laws = growth_laws(table.rows, CONTEXT, build_architectures(table.rows, CONTEXT))
    return next(law for law in laws if law.variant == RATIO.variant)


def at_each_length(rows: Sequence[Observation]) -> dict[float, list[Architecture]]:
    """The architectures at each of the lengths, ascending."""
    lengths = sorted({row.metrics["train_tokens"] for row in rows})
    by_length = {length: [row for row in rows if row.metrics["train_tokens"] == length] for length in lengths}
    return {length: list(build_architectures(own, CONTEXT).rows) for length, own in by_length.items()}


def resampled_ratios(lengths: dict[float, list[Architecture]], sizes: Sequence[float]) -> dict[float, list[float]]:
    """log2 of the best ratio of each size, the mean over lengths, with runs drawn again with all their checkpoints.

    A resample that leaves a size fewer than three shapes says nothing of it.
    """
    generator = np.random.default_rng(0)
    count = min(len(rows) for rows in lengths.values())
    found: dict[float, list[float]] = {size: [] for size in sizes}
    for drawn in generator.integers(count, size=(RESAMPLES, count)):
        at_lengths = [find_optima([rows[place] for place in drawn], SIZE, RATIO.value) for rows in lengths.values()]
        for size in sizes:
            near = [
                budget.likeliest
                for optima in at_lengths
                for budget in optima.budgets
                if 1 / BUDGET_FACTOR < budget.size / size < BUDGET_FACTOR
            ]
            found[size] += [float(np.mean(near))] if near else []
    return found


def show(table: Table, law: Formula) -> None:
    """Print the best ratio of each size, with what was tried."""
    print(f"{table.name}: {law.statement}; verdict {law.verdict}")
    print(f"{'parameters':>12s} {'shapes':>6s} {'tried':>16s} {'best ratio':>10s} {'95 % interval':>16s}")
    for point in law.evidence["points"]:
        tried = f"{point['tried'][0]:.3g} to {point['tried'][1]:.3g}"
        low = "open" if point["edge"] in ("low", "both") else f"{point['low']:.3g}"
        high = "open" if point["edge"] in ("high", "both") else f"{point['high']:.3g}"
        best = f"{point[RATIO.name]:.3g}" if point["located"] else "-"
        row = f"{point[SIZE]:12.3g} {point['architectures']:6d} {tried:>16s} {best:>10s} {low + ' to ' + high:>16s}"
        print(row, flush=True)
    print("\n".join(f"- {reason}" for reason in law.reasons))


def show_lengths(table: Table, sizes: Sequence[float]) -> None:
    """Print the exponent's interval at each length, and each size's ratio by a bootstrap over runs and all lengths."""
    lengths = at_each_length(table.rows)
    for length, rows in lengths.items():
        ends = fit_power_law(find_optima(rows, SIZE, RATIO.value).budgets).exponent_ends
        print(f"at {length:.3g} tokens: g", " to ".join("open" if end is None else f"{end:.2f}" for end in ends))
    print(f"over all lengths, {RESAMPLES} resamples of runs with all their checkpoints:")
    for size, ratios in resampled_ratios(lengths, sizes).items():
        low, middle, high = 2 ** np.quantile(ratios, [0.025, 0.5, 0.975])
        print(f"{size:12.3g} best ratio {middle:.3g} ({low:.3g} to {high:.3g}; {len(ratios)} resamples)", flush=True)


def measure() -> float | None:
    """Share of the Gemstones' sizes whose best width-to-depth ratio is bounded, on one side at least."""
    gemstones, openlm = read_gemstones(), read_openlm()
    if gemstones is None:
        return None
    law = growth_of(gemstones)
    show(gemstones, law)
    show_lengths(gemstones, [point[SIZE] for point in law.evidence["points"]])
    if openlm is not None:
        show(openlm, growth_of(openlm))
    edges = [point["edge"] for point in law.evidence["points"]]
    print(f"bounded to both sides: {edges.count('none')} of {len(edges)} sizes; not at all: {edges.count('both')}")
    return 1 - edges.count("both") / len(edges)
