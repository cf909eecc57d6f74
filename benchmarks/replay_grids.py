"""Replayed searches of nine published learning rate × batch grids: trials until within 0.25 % of a grid's best loss.

The grids are nine of the seventeen (N, D) of Step Law (arXiv 2503.04715), beside this checkout in
``../shared/data/results/steplaw_dense_9_of_17.csv``.
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.laws import Law, Power
from search.problem import SearchProblem
from search.recorded import RecordedEvaluation, RecordedRun, Recording
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.simulate import simulate_until
from search.start import Start

TABLE = Path(__file__).parents[2] / "shared" / "data" / "results" / "steplaw_dense_9_of_17.csv"
NEAR = 1.0025
"""A trial has arrived when its loss is at most this times the grid's lowest."""
DIVERGED = 5.0
"""Losses above it are of diverged runs (the table's own convention)."""
SEEDS = 20
MAX_TRIALS = 200
OFF = 10.0
RESAMPLES = 2000
DEFAULT = "bowl"


@dataclass(frozen=True, eq=False)
class Grid:
    """The runs of one N and D."""

    size: int
    """Non-embedding parameters."""
    tokens: int
    recording: Recording
    best: float

    @property
    def optimum(self) -> tuple[float, float]:
        """Ln lr* and ln B*: the means over the grid, with weights that fall by e for each 0.25 % above the lowest loss.

        A bowl's floor is flat and its lowest run is partly luck; the means use all runs near it.
        """
        known = [run for run in self.recording.runs if not run.failed]
        losses = np.array([run.evaluations[-1].values[0] for run in known])
        weights = np.exp(-(losses / self.best - 1) / (NEAR - 1))
        rates, batches = (
            np.log([float(run.parameters[name]) for run in known]) for name in ("learning_rate", "batch_tokens")
        )
        return float(weights @ rates / weights.sum()), float(weights @ batches / weights.sum())


def read_grids() -> list[Grid]:
    """The grids of the table; none when it is not there."""
    if not TABLE.is_file():
        return []
    rows = defaultdict(list)
    with TABLE.open() as file:
        for row in csv.DictReader(file):
            rows[int(row["non_embedding_parameters"]), int(row["train_tokens"])].append(row)
    return [_grid(size, tokens, rows[size, tokens]) for size, tokens in sorted(rows)]


def _grid(size: int, tokens: int, rows: Sequence[dict[str, str]]) -> Grid:
    runs = []
    for row in rows:
        loss = float(row["validation_loss"])
        parameters = {"learning_rate": float(row["learning_rate"]), "batch_tokens": int(row["batch_tokens"])}
        told = () if loss > DIVERGED else (RecordedEvaluation(1, (loss,), cost=tokens),)
        runs.append(RecordedRun(parameters, told, cost=tokens, failed=loss > DIVERGED))
    width = int(rows[0]["width"])
    network = {"width": width, "depth": int(rows[0]["depth"]), "ffn_ratio": int(rows[0]["ffn_width"]) / width}
    best = min(run.evaluations[-1].values[0] for run in runs if not run.failed)
    return Grid(size, tokens, Recording.of(runs, {**network, "train_tokens": tokens}), best)


def trials_needed(grid: Grid, kind: str, seed: int, start: Start | None = None) -> int:
    """Trials until one has arrived; ``MAX_TRIALS`` when none does."""
    problem = SearchProblem(
        study="replay",
        space=grid.recording.space,
        objectives=(Objective(metric="validation_loss"),),
        sampler=SamplerSpec(kind=kind, seed=seed),
        scheduler=SchedulerSpec(),
        max_trial_count=MAX_TRIALS,
        parallel_trial_count=1,
        resources=Resources(),
        storage=Path(),
        start=start or Start(),
    )
    reached = simulate_until(problem, grid.recording, NEAR * grid.best)
    return MAX_TRIALS if reached is None else reached.trials


def needed(
    grids: Sequence[Grid], kind: str, start: Callable[[int], Start] = lambda index: Start(), seeds: int = SEEDS
) -> NDArray[np.int64]:
    """Trials needed on each grid with each seed, shape (grids, seeds)."""
    return np.array(
        [[trials_needed(grid, kind, seed, start(index)) for seed in range(seeds)] for index, grid in enumerate(grids)]
    )


def fitted_law(grids: Sequence[Grid], left_out: int) -> Law:
    """The law of Step Law's form, fitted by least squares in logarithms to all grids but one."""
    others = [grid for index, grid in enumerate(grids) if index != left_out]
    optima = np.array([grid.optimum for grid in others])
    sizes, tokens = (np.log([getattr(grid, name) for grid in others]) for name in ("size", "tokens"))
    ones = np.ones(len(others))
    rate = np.linalg.lstsq(np.stack([ones, sizes, tokens], 1), optima[:, 0])[0]
    batch = np.linalg.lstsq(np.stack([ones, tokens], 1), optima[:, 1])[0]
    return Law(
        name="fitted",
        source=f"{len(others)} grids",
        size_convention="non_embedding_parameters",
        rate=Power(float(np.exp(rate[0])), size=float(rate[1]), tokens=float(rate[2])),
        batch=Power(float(np.exp(batch[0])), tokens=float(batch[1])),
    )


def constant_law(grids: Sequence[Grid], left_out: int) -> Law:
    """The learning rate and batch whose loss is lowest on the other grids on average, as a law that says so always."""
    others = [grid for index, grid in enumerate(grids) if index != left_out]
    places = np.concatenate([places_of(grid) for grid in others])
    mean = np.mean([excess_of(grid)[nearest(places, places_of(grid))] for grid in others], axis=0)
    rate, batch = np.exp(places[mean.argmin()])
    return Law(
        name="constant",
        source=f"{len(others)} grids",
        size_convention="non_embedding_parameters",
        rate=Power(float(rate)),
        batch=Power(float(batch)),
    )


def places_of(grid: Grid) -> NDArray[np.float64]:
    """Ln lr and ln B of each run, shape (runs, 2)."""
    names = ("learning_rate", "batch_tokens")
    return np.log([[float(run.parameters[name]) for name in names] for run in grid.recording.runs])


def excess_of(grid: Grid) -> NDArray[np.float64]:
    """Loss over the grid's lowest, of each run; a diverged one has ``DIVERGED``."""
    losses = [DIVERGED if run.failed else run.evaluations[-1].values[0] for run in grid.recording.runs]
    return np.array(losses) / grid.best


def nearest(places: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the nearest of ``among`` (shape (m, 2)) to each of ``places`` (n, 2)."""
    distances = ((places[:, None] - among[None]) ** 2).sum(-1)
    return np.asarray(distances.argmin(1), dtype=np.int64)


def off(law: Law, rate: float = 1.0, batch: float = 1.0) -> Law:
    """The law with its rate and its batch multiplied."""
    assert law.batch is not None
    return replace(
        law,
        rate=replace(law.rate, coefficient=law.rate.coefficient * rate),
        batch=replace(law.batch, coefficient=law.batch.coefficient * batch),
    )


def compare(name: str, more: NDArray[Any], fewer: NDArray[Any]) -> float:
    """Print and return the ratio of the means over grids and seeds; that of the medians, coarse, is shown beside.

    Intervals are those of 95 % over seeds, which are drawn again within each grid.
    """
    generator = np.random.default_rng(0)
    medians, means = [], []
    for _ in range(RESAMPLES):
        one, other = (resampled(counts, generator) for counts in (more, fewer))
        medians.append(np.median(one) / np.median(other))
        means.append(one.mean() / other.mean())
    (low, high), (least, most) = (np.quantile(each, [0.025, 0.975]) for each in (means, medians))
    ratio, median_ratio = float(more.mean() / fewer.mean()), np.median(more) / np.median(fewer)
    print(
        f"{name}: means {more.mean():.4g} / {fewer.mean():.4g} = {ratio:.2f} ({low:.2f} to {high:.2f}); "
        f"medians {np.median(more):g} / {np.median(fewer):g} = {median_ratio:.2f} ({least:.2f} to {most:.2f})",
        flush=True,
    )
    return ratio


def resampled(counts: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    """As many seeds of each row, drawn again with replacement."""
    seeds = generator.integers(counts.shape[1], size=counts.shape)
    return np.take_along_axis(counts, seeds, axis=1)


def measure_cold() -> float | None:
    """Random ÷ the default sampler, from a cold start."""
    grids = read_grids()
    return compare("random / default", needed(grids, "random"), needed(grids, DEFAULT)) if grids else None


def measure_informed() -> float | None:
    """Random ÷ the default sampler with the law that was fitted to the other grids."""
    grids = read_grids()
    return compare("random / law", needed(grids, "random"), with_law(grids, fitted_law)) if grids else None


def measure_against_constant() -> float | None:
    """The default sampler at the best constant point ÷ with the law."""
    grids = read_grids()
    if not grids:
        return None
    return compare("constant / law", with_law(grids, constant_law), with_law(grids, fitted_law))


def measure_wrong_law() -> float | None:
    """A cold start ÷ a law that is off by 10, the worst of four: rate or batch, too high or too low."""
    grids = read_grids()
    if not grids:
        return None
    cold = needed(grids, DEFAULT)
    factors = [(OFF, 1.0), (1 / OFF, 1.0), (1.0, OFF), (1.0, 1 / OFF)]
    return min(
        compare(f"cold / rate × {rate:g}, batch × {batch:g}", cold, with_law(grids, _wrong(rate, batch)))
        for rate, batch in factors
    )


def with_law(grids: Sequence[Grid], law: Callable[[Sequence[Grid], int], Law]) -> NDArray[np.int64]:
    """Trials that the default sampler needs with the law of each grid, shape (grids, seeds)."""
    return needed(grids, DEFAULT, lambda index: Start(law=law(grids, index)))


def _wrong(rate: float, batch: float) -> Callable[[Sequence[Grid], int], Law]:
    return lambda grids, index: off(fitted_law(grids, index), rate, batch)
