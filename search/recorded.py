"""Recorded runs as something that can be searched: a finite space, and what each of its points gave at what cost."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidInput
from search.constraints import Constraints
from search.events import Value
from search.parameters import CategoricalParameter
from search.problem import Values
from search.space import Space
from trainer.config import ProxySettings

MAX_SEQUENCE_LENGTH = 8192
"""Largest sequence length that is assumed for recorded batches; it trains nothing, and divides the batches."""
MAX_HEAD_DIM = 128
"""Likewise for recorded widths."""

Key = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class RecordedEvaluation:
    """What a run told at one evaluation."""

    number: int
    """Which one it is, counted from 1: evaluations are evenly spaced, and a run may have left some out."""
    values: Values
    """The objectives."""
    cost: float
    """Spent by the run until then, e.g. training tokens or seconds."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run: a point, what it told and cost, and whether it ended without a value."""

    parameters: Mapping[str, Value]
    evaluations: tuple[RecordedEvaluation, ...]
    """The last one is that of the whole run, unless it failed."""
    cost: float
    """Spent by the whole run."""
    failed: bool = False

    def cost_of(self, evaluation: int) -> float:
        """Spent until an evaluation, counted from 0; by the whole run when it has no such evaluation."""
        return self.evaluations[evaluation].cost if evaluation < len(self.evaluations) else self.cost


@dataclass(frozen=True, eq=False)
class Recording:
    """A space of which every point has a recorded run; make it with :meth:`of`."""

    space: Space
    runs: tuple[RecordedRun, ...]
    """One for each point."""
    places: NDArray[np.float64]
    """Where the runs lie in the unit cube, shape (runs, names)."""

    @classmethod
    def of(cls, runs: Sequence[RecordedRun], shared: Mapping[str, Value] | None = None) -> "Recording":
        """A recording whose space holds, for each parameter that varies, the values that occur.

        Runs of the same point are seeds of it, and stand for it by their means. A parameter with a single value is left
        out of the space. ``shared`` are settings of all runs (``ProxySettings``), from which a law knows the length.

        Raises:
            InvalidInput: there are no runs, no parameter varies, runs differ in their parameters' names, or a value is
                not one that a space can hold.
        """
        points = _means(runs)
        space = _space([run.parameters for run in points], shared or {})
        places = np.array([_place(space, run.parameters) for run in points])
        return cls(space, tuple(points), places)

    def run(self, parameters: Mapping[str, Value]) -> RecordedRun:
        """The run at a point; where none was recorded, the one that is nearest in the unit cube."""
        distances = ((self.places - _place(self.space, parameters)) ** 2).sum(1)
        return self.runs[int(distances.argmin())]


def _place(space: Space, values: Mapping[str, Value]) -> NDArray[np.float64]:
    return np.array([space.parameters[name].position(values[name]) for name in space.names])  # type: ignore[arg-type]


def _means(runs: Sequence[RecordedRun]) -> list[RecordedRun]:
    if not runs:
        raise InvalidInput("runs", "there are none", "give a run for each point")
    points: dict[Key, list[RecordedRun]] = defaultdict(list)
    for run in runs:
        if run.parameters.keys() != runs[0].parameters.keys():
            odd = sorted(run.parameters.keys() ^ runs[0].parameters.keys())
            raise InvalidInput("runs", f"some have {', '.join(odd)} and some have not", "give it for all, or for none")
        points[tuple(sorted(run.parameters.items()))].append(run)
    return [_mean(seeds) for seeds in points.values()]


def _mean(seeds: Sequence[RecordedRun]) -> RecordedRun:
    """The mean of runs of one point, at the evaluations that all have; it fails when one of them does."""
    if len(seeds) == 1:
        return seeds[0]
    evaluations = tuple(
        RecordedEvaluation(
            together[0].number,
            tuple(map(fmean, zip(*(each.values for each in together), strict=True))),
            fmean(each.cost for each in together),
        )
        for together in zip(*(run.evaluations for run in seeds), strict=False)
        if len({each.number for each in together}) == 1
    )
    cost, failed = fmean(run.cost for run in seeds), any(run.failed for run in seeds)
    return RecordedRun(seeds[0].parameters, evaluations, cost, failed)


def _space(points: Sequence[Mapping[str, Value]], shared: Mapping[str, Value]) -> Space:
    found = {name: _distinct([point[name] for point in points]) for name in points[0]}
    varied = {name: values for name, values in found.items() if len(values) > 1}
    if not varied:
        raise InvalidInput("runs", "no parameter varies between them", "give runs of different points")
    constant = dict(shared) | {name: values[0] for name, values in found.items() if len(values) == 1}
    parameters = {name: CategoricalParameter(type="categorical", choices=values) for name, values in varied.items()}
    return Space.build(parameters, {}, Constraints(), _settings(varied, constant))


def _distinct(values: Sequence[Value]) -> tuple[Any, ...]:
    """The values that occur: numbers ascending, others in the order of their first occurrence."""
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return tuple(sorted(set(values)) if numbers else dict.fromkeys(values))


def _settings(varied: Mapping[str, Sequence[Any]], constant: Mapping[str, Value]) -> ProxySettings:
    """Settings under which the recorded values are legal: whole sequences in a batch, whole heads in a width.

    They train nothing; they are what a space checks its points against.
    """
    settings: dict[str, Value] = {name: value for name, value in constant.items() if name in ProxySettings.model_fields}
    batches = varied.get("batch_tokens", [constant.get("batch_tokens", 4096)])
    if "sequence_length" not in {*varied, *constant}:
        settings["sequence_length"] = _largest_divisor(math.gcd(*map(int, batches)), MAX_SEQUENCE_LENGTH)
    widths = varied.get("width", [constant.get("width", 128)])
    if "head_dim" not in {*varied, *constant}:
        settings["head_dim"] = 2 * _largest_divisor(math.gcd(*map(int, widths)) // 2, MAX_HEAD_DIM // 2)
    return ProxySettings.model_validate({"train_tokens": 1, **settings})


def _largest_divisor(number: int, limit: int) -> int:
    return next((divisor for divisor in range(min(limit, number), 0, -1) if number % divisor == 0), 1)
