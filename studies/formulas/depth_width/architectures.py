"""The units of a depth x width law: each architecture with its objective at its own best learning rate."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.events import Value
from studies.formulas.depth_width.claims import DOMAIN_COLUMNS
from studies.formulas.fitting.budget import CONVENTIONS
from studies.formulas.fitting.checkpoints import at_one_length
from studies.formulas.fitting.profiles import Edge, Profile, profile_cells
from studies.formulas.observations import FitContext, Observation, collect_runs, group_by, parameter_key, ranges

INNER = frozenset({"learning_rate", "seed"})
AMOUNTS = (*CONVENTIONS, "train_flops")
"""What may be equal between architectures, the preferred one first."""
SPEED = "decode_tokens_per_second"
MIN_PROFILED = 0.8
"""Share of architectures that must have a profile for the law to compare profiles (assumed)."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture; ``cost`` is sign x objective, in units of the metric."""

    depth: float
    width: float | None
    ffn_ratio: float | None
    parameters: dict[str, Value]
    cost: float
    variance: float
    edge: Edge
    log_rate: float | None
    runs: int
    sizes: Mapping[str, float]
    """Geometric mean over its runs of each of ``AMOUNTS`` that they report."""
    log_speed: float | None
    """Mean log of the tokens decoded in a second, None where no run reports them."""


@dataclass(frozen=True, slots=True)
class Architectures:
    """All architectures that can be compared."""

    rows: tuple[Architecture, ...]
    profiled: bool
    """False: too few rates; costs are the best tried run's mean over seeds."""
    left_out: int
    """Architectures without a usable value."""
    diverged: int
    noise: float | None
    """Standard deviation of one run, where profiles tell it."""
    checkpoints: int
    """Rows left out because their runs are compared at another length."""
    rates: tuple[float, ...]
    """Learning rates tried, ascending."""
    domain: Mapping[str, tuple[float, float]]
    """Range of each variable over all observations."""


def build_architectures(observations: Sequence[Observation], context: FitContext) -> Architectures:
    """Profile the learning rate out of every architecture, or say that it cannot be done."""
    known = [row for row in observations if (row.number_of("depth") or 0) >= 1]
    rows = at_one_length(known)
    beside = len(known) - len(rows), _rates(rows), ranges(observations, DOMAIN_COLUMNS)
    members = list(group_by(rows, lambda row: parameter_key(row, INNER)).values())
    runs = [collect_runs(group, context) for group in members]
    profiles = profile_cells(runs)
    diverged = sum(len(run.diverged) for run in runs)
    if profiles is not None:
        pairs = [
            (group, profile) for group, profile in zip(members, profiles.cells, strict=True) if profile is not None
        ]
        if len(pairs) >= MIN_PROFILED * len(members):
            found = tuple(_profiled(group, profile) for group, profile in pairs)
            return Architectures(found, True, len(members) - len(found), diverged, profiles.noise, *beside)
    values = [(group, value) for group in members if (value := _best_run(group, context)) is not None]
    found = tuple(_architecture(group, value, 0.0, "none", None) for group, value in values)
    return Architectures(found, False, len(members) - len(found), diverged, None, *beside)


def _rates(rows: Sequence[Observation]) -> tuple[float, ...]:
    return tuple(sorted({rate for row in rows if (rate := row.number_of("learning_rate")) is not None and rate > 0}))


def _best_run(group: Sequence[Observation], context: FitContext) -> float | None:
    """Lowest mean cost over the seeds of one rate."""
    by_rate = group_by(group, lambda row: row.number_of("learning_rate"))
    costs = [[cost for row in rows if (cost := context.cost(row)) is not None] for rows in by_rate.values()]
    means = [float(np.mean(values)) for values in costs if values]
    return min(means, default=None)


def _profiled(group: Sequence[Observation], profile: Profile) -> Architecture:
    return _architecture(group, profile.cost, profile.cost_variance, profile.edge, profile.log_rate)


def _architecture(
    group: Sequence[Observation], cost: float, variance: float, edge: Edge, log_rate: float | None
) -> Architecture:
    row = next((row for row in group if row.metrics), group[0])
    outer = {name: value for name, value in row.parameters.items() if name not in INNER}
    depth = row.number_of("depth")
    return Architecture(
        depth if depth is not None else math.nan,
        row.number_of("width"),
        _ffn_ratio(row),
        outer,
        cost,
        variance,
        edge,
        log_rate,
        len(group),
        {name: math.exp(log) for name in AMOUNTS if (log := _mean_log(group, name)) is not None},
        _mean_log(group, SPEED),
    )


def _mean_log(group: Sequence[Observation], name: str) -> float | None:
    logs = [math.log(value) for row in group if (value := row.number_of(name)) is not None and value > 0]
    return sum(logs) / len(logs) if logs else None


def _ffn_ratio(row: Observation) -> float | None:
    """The realised ratio where it is known, else the one asked for."""
    width, ffn_width = row.number_of("width"), row.number_of("ffn_width")
    realised = ffn_width / width if width and ffn_width else None
    ratios = (row.number_of("ffn_ratio_realised"), realised, row.number_of("ffn_ratio"))
    return next((ratio for ratio in ratios if ratio is not None and ratio > 0), None)
