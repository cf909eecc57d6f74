"""Do networks of one size that compute more learn better? ``python -m benchmarks.flops_proxy``.

It is what ``zero_cost`` takes for granted (arXiv 2208.07120). Answered on runs that are recorded in ``results/``:
Spearman's coefficient between FLOPs of a forward pass per token and bits per byte, which would be −1 if more were
always better, with a 95 % interval of resampled configs.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.fidelity.design import SETTINGS, config
from benchmarks.surface import Record, records, surface_space
from model.counts import forward_flops_per_token
from search.events import Value
from search.samplers.zero_cost import network

FIDELITY = Path(__file__).parent / "results" / "fidelity.json"
RESAMPLES = 1000
FEW = 8
"""Fewer configs have no interval (assumed)."""


def correlation(flops: Sequence[float], bits_per_byte: Sequence[float]) -> str:
    """Spearman's coefficient and its interval, which takes more than a few configs.

    Resamples in which one of the two does not vary are left out.
    """
    pairs = np.array([flops, bits_per_byte]).T
    found = f"{spearmanr(*pairs.T).statistic:+.2f}"
    if len(pairs) < FEW:
        return f"{found} | —"
    generator = np.random.default_rng(0)
    drawn = (pairs[generator.integers(0, len(pairs), len(pairs))] for _ in range(RESAMPLES))
    usable = [spearmanr(*each.T).statistic for each in drawn if (each.min(axis=0) < each.max(axis=0)).all()]
    low, high = np.quantile(usable, [0.025, 0.975])
    return f"{found} | {low:+.2f} to {high:+.2f}"


def fidelity_rows() -> list[str]:
    """A row for each size and length of the fidelity runs: configs of different depth, FFN ratio and rate."""
    runs = json.loads(FIDELITY.read_text())["runs"]
    rows = []
    for setting in SETTINGS:
        found = {
            run["config"]: run["bits_per_byte"]
            for run in runs
            if (run["total_parameters"], run["train_bytes"], run["seed"])
            == (setting.total_parameters, setting.train_bytes, 0)
        }
        flops = [forward_flops_per_token(config(setting, index).architecture) for index in found]
        rows.append(f"| {setting} | {len(found)} | {correlation(flops, list(found.values()))} |")
    return rows


def surface_rows() -> list[str]:
    """A row for all points of the recorded surface, and one for its depths, each at its best rate and batch."""
    space = surface_space()
    runs = [run for run in records() if run["seed"] == 0 and not run["diverged"]]
    if not runs:
        return []
    flops = [forward_flops_per_token(network(space, space.describe(_values(run)))) for run in runs]
    last = [run["bits_per_byte"][-1] for run in runs]
    best = {each: min(value for one, value in zip(flops, last, strict=True) if one == each) for each in flops}
    return [
        f"| surface of 200k parameters, every rate and batch | {len(runs)} | {correlation(flops, last)} |",
        f"| the same, the best of each depth | {len(best)} | {correlation(list(best), list(best.values()))} |",
    ]


def _values(run: Record) -> dict[str, Value]:
    return {**run["parameters"], "width": run["width"]}


if __name__ == "__main__":
    print(
        "\n".join(["| runs | configs | Spearman | interval |", "|---|---|---|---|", *fidelity_rows(), *surface_rows()])
    )
