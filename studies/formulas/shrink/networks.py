"""The networks of a shrink law: each with its budget, its dimensions and the loss at its own best learning rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.events import Value
from studies.formulas.fitting.checkpoints import at_one_length
from studies.formulas.fitting.configs import INNER, profiled_configs
from studies.formulas.fitting.covariates import covariate_columns
from studies.formulas.observations import FitContext, Observation, parameter_key
from studies.formulas.shrink.surface import Floats

DIMENSIONS = ("depth", "width", "vocabulary_size", "ffn_ratio")
"""In the order in which they are reported; the first that varies is the principal one."""
NO_COVARIATES = INNER | {*DIMENSIONS, "ffn_width", "head_dim", "kv_heads"}
LENGTHS = ("train_bytes", "train_tokens")
FLOPS = "flops_per_token"
"""Training FLOPs over training tokens of a run."""
BUDGETS = ("total_parameters", "non_embedding_parameters", FLOPS)
VARIED = 1.3
"""Largest over smallest value of a dimension that varies (assumed)."""


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks that can be compared, n of them, with p dimensions that vary."""

    budget_name: str
    names: tuple[str, ...]
    """Of the dimensions."""
    budgets: Floats
    """Shape (n,)."""
    dimensions: Floats
    """Shape (n, p)."""
    costs: Floats
    """Loss, shape (n,)."""
    covariates: Floats
    """Of what else varies, centred, shape (n, c)."""
    runs: int
    rates_vary: bool
    unprofiled: int
    """Networks of a study whose rates vary that have too few of them."""
    at_edge: int
    """Networks left out because their best rate lies beyond the tried ones."""


def budget_of(row: Observation, name: str) -> float | None:
    """A run's budget of one kind, None where it is not reported."""
    if name != FLOPS:
        return row.number_of(name)
    flops, tokens = row.number_of("train_flops"), row.number_of("train_tokens")
    return flops / tokens if flops and tokens else None


def dimension_of(row: Observation, name: str) -> float | None:
    """A run's dimension; of the FFN ratio the realised one where it is known."""
    if name != "ffn_ratio":
        return row.number_of(name)
    width, ffn_width = row.number_of("width"), row.number_of("ffn_width")
    realised = ffn_width / width if width and ffn_width else None
    return row.number_of("ffn_ratio_realised") or realised or row.number_of("ffn_ratio")


def build_networks(observations: Sequence[Observation], context: FitContext, budget_name: str) -> Networks:
    """Profile the learning rate out of every network that reports its budget."""
    rows = [row for row in observations if context.cost(row) is not None and (budget_of(row, budget_name) or 0) > 0]
    names = tuple(name for name in DIMENSIONS if _varies(rows, name))
    rows = [row for row in rows if all((dimension_of(row, name) or 0) > 0 for name in names)]
    rows = at_one_length(rows)
    configs = profiled_configs(rows, context, lambda row: (parameter_key(row, INNER), budget_of(row, budget_name)))
    inside = [config for config in configs if not config.at_edge]
    first = [config.rows[0] for config in inside]
    rates_vary = len({row.number_of("learning_rate") for row in rows} - {None}) > 1
    return Networks(
        budget_name,
        names,
        np.array([budget_of(row, budget_name) or 1.0 for row in first], dtype=np.float64),
        np.array([[dimension_of(row, name) or 1.0 for name in names] for row in first]).reshape(len(first), len(names)),
        np.array([config.cost for config in inside], dtype=np.float64),
        _covariates(first),
        sum(len(config.rows) for config in inside),
        rates_vary,
        sum(not config.profiled for config in configs) if rates_vary else 0,
        len(configs) - len(inside),
    )


def _varies(rows: Sequence[Observation], name: str) -> bool:
    numbers = [number for row in rows if (number := dimension_of(row, name) or 0) > 0]
    return len(numbers) > 0 and max(numbers) >= VARIED * min(numbers)


def _covariates(rows: Sequence[Observation]) -> Floats:
    """Columns of other parameters, and of the length where that varies by itself."""
    if not rows:
        return np.zeros((0, 0))
    outer: list[Mapping[str, Value]] = [dict(row.parameters) for row in rows]
    _, columns = covariate_columns(outer, frozenset(NO_COVARIATES))
    lengths = [row.number_of(LENGTHS[0]) or row.number_of(LENGTHS[1]) or 1.0 for row in rows]
    if max(lengths) > VARIED * min(lengths):
        logs = np.log2(lengths)
        columns = np.column_stack([columns, logs - logs.mean()])
    return columns
