"""Train the design, compare the rankings, and keep all of it in ``benchmarks/results/fidelity.json``."""

import json
import math
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks.fidelity.agreement import Agreement, agreement, standard_deviation
from benchmarks.fidelity.design import COMPARISONS, CONFIGS, REFERENCE_SEEDS, SETTINGS, Setting, config
from trainer.errors import TrainingDiverged
from trainer.loop import TrainingRun
from trainer.text.data import PreparedData, prepare

RESULTS = Path(__file__).parents[1] / "results" / "fidelity.json"
KEPT_ATTRIBUTES = ("device", "precision", "threads", "python_version", "torch_version", "corpus_fingerprint")
"""What tells where and on what text the numbers were measured."""

Run = dict[str, Any]


def train(setting: Setting, index: int, seed: int, data: PreparedData) -> Run:
    """Train one config; bits per byte are None where it diverged."""
    chosen = config(setting, index, seed)
    run: Run = {**asdict(setting), "config": index, "seed": seed}
    run |= {"depth": chosen.architecture.depth, "width": chosen.architecture.width}
    run |= {"ffn_ratio": chosen.architecture.ffn_ratio, "learning_rate": chosen.optimization.learning_rate}
    try:
        summary = list(TrainingRun(chosen, data).results())[-1].summary
    except TrainingDiverged:
        return {**run, "bits_per_byte": None}
    assert summary is not None
    kept = {name: summary.attributes[name] for name in KEPT_ATTRIBUTES}
    return {**run, "bits_per_byte": summary.metrics["bits_per_byte"], "attributes": kept}


def train_all() -> list[Run]:
    """Every config at every setting with seed 0, and the reference with further seeds."""
    planned = [(setting, index, 0) for setting in SETTINGS for index in range(CONFIGS)]
    planned += [(setting, 0, seed) for setting in SETTINGS for seed in range(1, REFERENCE_SEEDS)]
    first = config(SETTINGS[0], 0)
    with tempfile.TemporaryDirectory() as folder:
        size, validation_bytes = first.architecture.vocabulary_size, first.validation_bytes
        data = prepare(first.corpus, size, validation_bytes, Path(folder))
        return [train(*plan, data) for plan in track(planned, "training")]


def values_of(runs: list[Run], setting: Setting) -> list[float]:
    """Bits per byte of each config at a setting; a diverged one is infinite."""
    found = {run["config"]: run["bits_per_byte"] for run in runs if run["seed"] == 0 and _is_at(run, setting)}
    return [math.inf if found[index] is None else found[index] for index in range(CONFIGS)]


def noise_of(runs: list[Run], setting: Setting) -> float:
    """Standard deviation of the reference config between seeds."""
    return standard_deviation([run["bits_per_byte"] for run in runs if run["config"] == 0 and _is_at(run, setting)])


def _is_at(run: Run, setting: Setting) -> bool:
    return asdict(setting).items() <= run.items()


def compare(runs: list[Run]) -> dict[str, Agreement]:
    """The rankings of each pair of settings."""
    generator = np.random.default_rng(0)
    return {
        name: agreement(
            values_of(runs, first),
            values_of(runs, second),
            (noise_of(runs, first), noise_of(runs, second)),
            generator,
        )
        for name, first, second in COMPARISONS
    }


def _storable(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def main() -> None:
    """Measure, print and keep."""
    start = time.perf_counter()
    runs = train_all()
    noises = {str(setting): noise_of(runs, setting) for setting in SETTINGS}
    found = compare(runs)
    attributes = next(run["attributes"] for run in runs if "attributes" in run)
    document = {
        "command": "python -m benchmarks.fidelity",
        "seconds": round(time.perf_counter() - start),
        "measured_on": attributes,
        "seed_noise": {"seeds": REFERENCE_SEEDS, "bits_per_byte": noises},
        "agreement": {name: _storable(asdict(one)) for name, one in found.items()},
        "runs": [{name: value for name, value in run.items() if name != "attributes"} for run in runs],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    for name, noise in noises.items():
        print(f"seed noise at {name}: {noise:.4f} bits per byte ({REFERENCE_SEEDS} seeds)")
    for name, one in found.items():
        interval = f"{one.low:.2f} to {one.high:.2f}"
        known = f"{one.known_pairs} of {one.pairs} pairs"
        print(f"{name}: Spearman {one.spearman:.2f} ({interval}) over {known}; {one.spearman_of_all:.2f} over all")


if __name__ == "__main__":
    main()
