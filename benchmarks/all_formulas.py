"""Seconds of CPU that all formulas of a study of 10 000 trials take, against a budget of 10.

The study makes every law of trials apply: networks of several budgets, depths, widths, vocabularies and FFN ratios,
batches and learning rates. Two shapes of it are fitted: a grid, whose configs are trained at several rates each, and a
random design, in which no two trials agree in anything.
"""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from search.events import Value
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import fit_all
from studies.formulas.simulation.planted_shrink import solve_width
from studies.records import TrialState

TRIALS = 10_000
BUDGET = 10.0
RATES = (1e-3, 2e-3, 4e-3, 8e-3)
BATCHES = (4096, 8192, 16384, 32768)
SIZES = tuple(1e6 * 2.0**step for step in range(-2, 3))
LENGTHS = tuple(2e7 * 2.0**step for step in range(-2, 3))
VOCABULARIES = (512, 1024, 2048, 4096)


def grid(generator: Generator) -> list[Observation]:
    """25 pairs of size and length, 4 batches and 4 rates of each of 25 networks."""
    rows: list[Observation] = []
    for size in SIZES:
        for _ in range(TRIALS // (len(SIZES) * len(LENGTHS) * len(BATCHES) * len(RATES))):
            shape = _shape(generator)
            points = [(length, batch, rate) for length in LENGTHS for batch in BATCHES for rate in RATES]
            rows += [_trial(size, shape, *point, len(rows) + place, generator) for place, point in enumerate(points)]
    return rows


def equal_budget(generator: Generator) -> list[Observation]:
    """One size and length: 625 networks at 4 batches and 4 rates."""
    rows: list[Observation] = []
    for _ in range(TRIALS // (len(BATCHES) * len(RATES))):
        shape = _shape(generator)
        points = [(batch, rate) for batch in BATCHES for rate in RATES]
        rows += [_trial(1e6, shape, 2e7, *point, len(rows) + place, generator) for place, point in enumerate(points)]
    return rows


def random_design(generator: Generator) -> list[Observation]:
    """Every trial with a network, a length, a batch and a rate of its own."""

    def drawn(values: Sequence[float]) -> float:
        return math.exp(generator.uniform(math.log(min(values)), math.log(max(values))))

    return [
        _trial(drawn(SIZES), _shape(generator), drawn(LENGTHS), int(drawn(BATCHES)), drawn(RATES), number, generator)
        for number in range(TRIALS)
    ]


def _shape(generator: Generator) -> tuple[int, float, int]:
    """Depth, FFN ratio and vocabulary."""
    return round(2 ** generator.uniform(1, 4)), 2 ** generator.uniform(0, 2), int(generator.choice(VOCABULARIES))


def _trial(
    size: float,
    shape: tuple[int, float, int],
    length: float,
    batch: int,
    rate: float,
    number: int,
    generator: Generator,
) -> Observation:
    depth, ratio, vocabulary = shape
    best = math.log(3e-3) + 0.3 * math.log(batch / 8192) - 0.2 * math.log(size / 1e6)
    loss = 1.0 + 0.4 * (size / 1e6) ** -0.35 + 0.4 * (length / 2e7) ** -0.37
    loss += (
        0.025 * math.log2(depth / 5) ** 2 + 0.01 * math.log2(vocabulary / 1024) ** 2 + 0.02 * math.log2(ratio / 2) ** 2
    )
    loss += 0.03 * (math.log(rate) - best) ** 2 + 0.005 * float(generator.standard_normal())
    width = round(solve_width(size, depth, ratio, vocabulary))
    embedding = vocabulary * width
    parameters: dict[str, Value] = {
        "depth": depth,
        "width": width,
        "ffn_ratio": ratio,
        "vocabulary_size": vocabulary,
        "batch_tokens": batch,
        "learning_rate": rate,
    }
    metrics = {
        "bits_per_byte": loss,
        "validation_loss": loss * 2.5,
        "total_parameters": size * (1 + 1e-3 * (depth % 7)),
        "non_embedding_parameters": size - embedding,
        "train_tokens": length / 2.5,
        "train_bytes": length,
        "train_flops": 6 * size * length / 2.5,
        "decode_tokens_per_second": 1e4 / depth,
    }
    return Observation(number, TrialState.COMPLETE, parameters, metrics, {"ffn_width": round(ratio * width)})


STUDIES: dict[str, Callable[[Generator], list[Observation]]] = {
    "grid": grid,
    "equal budget": equal_budget,
    "random design": random_design,
}


def measure() -> float:
    """The budget over the CPU seconds of the slowest of the studies."""
    slowest = 0.0
    for name, plant in STUDIES.items():
        rows = plant(np.random.default_rng(0))
        start = time.process_time()
        formulas = fit_all(rows, FitContext(("1",), "bits_per_byte"))
        spent = time.process_time() - start
        slowest = max(slowest, spent)
        found = ", ".join(f"{formula.kind}/{formula.variant or formula.form}" for formula in formulas)
        print(f"{name}: {len(rows)} trials, {len(formulas)} formulas in {spent:.2f} s of CPU: {found}", flush=True)
    return BUDGET / slowest
