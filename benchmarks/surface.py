"""A real loss surface: every point of a small space, trained once, some with several seeds.

The space is depth × learning rate × batch at an equal budget of parameters. ``python -m benchmarks.record_surface``
trains it; ``benchmarks/results/surface.jsonl`` keeps what came out, a line for each run.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.constraints import Constraints, TotalParameters
from search.events import Value
from search.parameters import CategoricalParameter
from search.space import Space
from trainer.config import ProxySettings

RECORDS = Path(__file__).parent / "results" / "surface.jsonl"
SETTINGS = ProxySettings(
    train_tokens=131_072,
    sequence_length=128,
    vocabulary_size=512,
    head_dim=16,
    schedule="wsd",
    annealed_evaluations=True,
    evaluations=5,
    validation_bytes=50_000,
)
"""What all runs share. The length is what half an hour of one core affords at 128 points (assumed)."""
CHOICES: Mapping[str, tuple[int | float, ...]] = {
    "depth": (1, 2, 4, 8),
    "learning_rate": (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064),
    "batch_tokens": (512, 1024, 2048, 4096),
}
BUDGET = TotalParameters(target=200_000, tolerance=0.03)
REPEATED: tuple[Mapping[str, Value], ...] = (
    {"depth": 2, "learning_rate": 0.004, "batch_tokens": 512},
    {"depth": 4, "learning_rate": 0.004, "batch_tokens": 512},
    {"depth": 4, "learning_rate": 0.008, "batch_tokens": 1024},
    {"depth": 2, "learning_rate": 0.016, "batch_tokens": 1024},
)
"""Points that are trained with further seeds, from which the seed's standard deviation is known (chosen beforehand,
where good points were expected)."""
FURTHER_SEEDS = (1, 2, 3, 4)

Record = dict[str, Any]


def surface_space(settings: ProxySettings = SETTINGS) -> Space:
    """The space whose every point is recorded."""
    parameters = {name: CategoricalParameter(type="categorical", choices=choices) for name, choices in CHOICES.items()}
    return Space.build(parameters, {}, Constraints(total_parameters=BUDGET), settings)


def records() -> list[Record]:
    """The recorded runs, in the order in which they were trained."""
    return [json.loads(line) for line in RECORDS.read_text().splitlines()] if RECORDS.is_file() else []
