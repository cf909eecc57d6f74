"""The points of a scaling law: one loss for each size and length, with the learning rate profiled out.

Runs that differ in learning rate and seed only are one cell, which counts with the fitted minimum of its profile over
the rate, or with its best rate where it has too few. Cells of one size and length that differ in anything else (batch,
shape) count with the lowest of them: the law is that of the best loss at each size and length.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studies.formulas.fitting.budget import EQUAL_BUDGET
from studies.formulas.fitting.configs import INNER, Config, profiled_configs
from studies.formulas.observations import FitContext, Observation, parameter_key
from studies.formulas.scaling.forms import Data

Floats = NDArray[np.float64]
CONVENTIONS = ("total_parameters", "non_embedding_parameters")
"""Parameter counts that a law is fitted for; the first that is reported is the principal one."""
Length = Literal["train_tokens", "train_bytes"]
MIN_PROFILED = 0.8
"""Share of cells that must be profiled, where rates vary, for a verdict (assumed, as for depth against width)."""
SAME_LENGTH = 0.05
"""Log lengths closer than this are one length: they differ by rounding to whole batches (assumed)."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Runs of one size, length and config; ``cost`` is in units of the metric."""

    size: float
    length: float
    cost: float
    profiled: bool
    at_edge: bool
    """Whether the best rate lies beyond the tried ones, so that the cost is an upper bound."""
    runs: int
    config: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What a law of one parameter count is fitted to."""

    size_name: str
    length_name: Length
    cells: tuple[Cell, ...]
    """Without those at an edge; the lowest of each size and length."""
    bytes_per_token: float
    """Of the text, where lengths are in bytes; else 1."""
    rates_vary: bool
    unprofiled: int
    """Cells of a study whose rates vary that have too few of them."""
    at_edge: int
    """Cells left out because their best rate lies beyond the tried ones."""
    enveloped: int
    """Cells left out because another config of their size and length has a lower loss."""
    incomparable: bool
    """Whether vocabularies differ while the metric is nats a token."""

    @property
    def data(self) -> Data:
        """Logs about their means."""
        return Data.of(*(np.array([getattr(cell, name) for cell in self.cells]) for name in ("size", "length", "cost")))

    @property
    def clusters(self) -> NDArray[np.intp]:
        """Cells of one size are one cluster: checkpoints of a run, or runs of one architecture."""
        return np.unique([cell.size for cell in self.cells], return_inverse=True)[1].astype(np.intp)

    @property
    def compute_factor(self) -> float:
        """FLOPs over size times length: 6 a parameter and token (Kaplan et al. 2020, section 2.1)."""
        return 6 / self.bytes_per_token

    @property
    def compute(self) -> Floats:
        """FLOPs of each cell, 6·N·D."""
        return np.array([self.compute_factor * cell.size * cell.length for cell in self.cells])


def conventions(observations: Sequence[Observation]) -> list[str]:
    """The parameter counts that runs report; the principal one first."""
    return [name for name in CONVENTIONS if any(row.number_of(name) for row in observations)]


def varies(observations: Sequence[Observation], size_name: str) -> bool:
    """Whether sizes or lengths differ by more than the tolerance of one budget."""
    names = (size_name, _length_name(observations))
    ranges = ([number for row in observations if (number := row.number_of(name) or 0) > 0] for name in names)
    return any(max(numbers, default=1) > EQUAL_BUDGET * min(numbers, default=1) for numbers in ranges)


def build_table(observations: Sequence[Observation], context: FitContext, size_name: str) -> Table:
    """Collect the cells of runs that ended well and report their size and length."""
    length_name = _length_name(observations)
    rows = [row for row in observations if _usable(row, context, size_name, length_name)]
    configs = profiled_configs(
        rows, context, lambda row: (parameter_key(row, INNER), row.number_of(size_name), row.number_of(length_name))
    )
    rates_vary = len({row.number_of("learning_rate") for row in rows} - {None}) > 1
    cells = [cell for config in configs if (cell := _cell(config, size_name, length_name)).cost > 0]
    inside = [cell for cell in cells if not cell.at_edge]
    lowest = _envelope(inside)
    vocabularies = {row.number_of("vocabulary_size") for row in rows} - {None}
    return Table(
        size_name,
        length_name,
        tuple(lowest),
        _bytes_per_token(rows) if length_name == "train_bytes" else 1.0,
        rates_vary,
        sum(not cell.profiled for cell in cells) if rates_vary else 0,
        len(cells) - len(inside),
        len(inside) - len(lowest),
        len(vocabularies) > 1 and context.metric != "bits_per_byte",
    )


def _length_name(observations: Sequence[Observation]) -> Length:
    """Bytes where vocabularies differ, since their tokens hold different amounts of text, or no tokens are reported."""
    vocabularies = {row.number_of("vocabulary_size") for row in observations} - {None}
    tokens, length = (any(row.number_of(name) for row in observations) for name in ("train_tokens", "train_bytes"))
    return "train_bytes" if length and (len(vocabularies) > 1 or not tokens) else "train_tokens"


def _usable(row: Observation, context: FitContext, size_name: str, length_name: Length) -> bool:
    return (
        (context.cost(row) or 0) > 0 and (row.number_of(size_name) or 0) > 0 and (row.number_of(length_name) or 0) > 0
    )


def _bytes_per_token(rows: Sequence[Observation]) -> float:
    """Geometric mean over runs that report both; 1 where none does."""
    pairs = [(row.number_of("train_bytes") or 0, row.number_of("train_tokens") or 0) for row in rows]
    logs = [math.log(length / tokens) for length, tokens in pairs if length > 0 and tokens > 0]
    return math.exp(math.fsum(logs) / len(logs)) if logs else 1.0


def _cell(config: Config, size_name: str, length_name: Length) -> Cell:
    row = config.rows[0]
    size, length = row.number_of(size_name) or 0.0, row.number_of(length_name) or 0.0
    key = parameter_key(row, INNER)
    return Cell(size, length, config.cost, config.profiled, config.at_edge, len(config.rows), key)


def _envelope(cells: Sequence[Cell]) -> list[Cell]:
    """Of cells of one size and length but several configs the lowest; others are kept."""
    places: dict[tuple[float, int], list[Cell]] = {}
    for cell in cells:
        places.setdefault((cell.size, round(math.log(cell.length) / SAME_LENGTH)), []).append(cell)
    kept: list[Cell] = []
    for rivals in places.values():
        several = len({cell.config for cell in rivals}) > 1
        kept += [min(rivals, key=lambda cell: cell.cost)] if several else rivals
    return kept
