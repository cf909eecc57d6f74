"""Replays of recorded runs in simulated time."""

import itertools
import math
from pathlib import Path

import pytest

from model.errors import InvalidInput
from search.problem import SearchProblem
from search.recorded import RecordedEvaluation, RecordedRun, Recording
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.simulate import simulate
from search.stopping.halving import rungs

RATES = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016)
BATCHES = (512, 1024, 2048, 4096)
EVALUATIONS = 9


def loss(rate, batch):
    """A bowl: lowest, 2, at 0.004 and 1024."""
    return 2 + 0.1 * math.log2(rate / 0.004) ** 2 + 0.05 * math.log2(batch / 1024) ** 2


def run(rate, batch, cost=90.0, failed=False):
    told = tuple(
        RecordedEvaluation(number, (loss(rate, batch) + (EVALUATIONS - number) * 0.2,), cost * number / EVALUATIONS)
        for number in range(1, EVALUATIONS + 1)
    )
    return RecordedRun({"learning_rate": rate, "batch_tokens": batch}, told[:2] if failed else told, cost, failed)


def table(**changes):
    return Recording.of([run(*point, **changes) for point in itertools.product(RATES, BATCHES)])


def problem(recording, kind="random", scheduler="none", slots=1, seed=0, direction="minimize", trials=100):
    return SearchProblem(
        study="replay",
        space=recording.space,
        objectives=(Objective(metric="validation_loss", direction=direction),),
        sampler=SamplerSpec(kind=kind, seed=seed),
        scheduler=SchedulerSpec(kind=scheduler),
        max_trial_count=trials,
        parallel_trial_count=slots,
        resources=Resources(),
        storage=Path("unused"),
    )


def test_a_table_becomes_a_finite_space_of_its_points():
    recording = table()
    assert recording.space.size == len(RATES) * len(BATCHES)
    points = [recording.space.grid_point(index).values for index in range(recording.space.size)]
    assert all(recording.run(point).parameters == point for point in points)


def test_a_point_that_was_not_recorded_gives_the_nearest_one():
    kept = [run(*point) for point in itertools.product(RATES, BATCHES) if point != (0.001, 1024)]
    recording = Recording.of(kept)
    found = recording.run({"learning_rate": 0.001, "batch_tokens": 1024}).parameters
    assert found in ({"learning_rate": 0.002, "batch_tokens": 1024}, {"learning_rate": 0.0005, "batch_tokens": 1024})


def test_seeds_of_one_point_count_as_their_mean():
    runs = [
        RecordedRun({"depth": depth}, (RecordedEvaluation(1, (value,), 10.0),), 10.0)
        for depth, value in ((1, 3.0), (1, 4.0), (2, 5.0))
    ]
    recording = Recording.of(runs)
    assert recording.run({"depth": 1}).evaluations[-1].values == (3.5,)
    assert recording.run({"depth": 2}).evaluations[-1].values == (5.0,)


def test_real_shapes_and_batches_are_legal():
    rows = [{"width": width, "depth": 7, "batch_tokens": batch} for width in (960, 1024) for batch in (65536, 393216)]
    recording = Recording.of([RecordedRun(row, (RecordedEvaluation(1, (1.0,), 1.0),), 1.0) for row in rows])
    assert recording.space.names == ("width", "batch_tokens")
    assert recording.space.settings.depth == 7
    assert recording.space.size == 4


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([], "none"),
        ([run(0.001, 512), run(0.001, 512)], "no parameter varies"),
        ([run(0.001, 512), RecordedRun({"depth": 2}, (), 1.0, failed=True)], "some have"),
    ],
)
def test_what_cannot_be_searched_is_refused(runs, reason):
    with pytest.raises(InvalidInput, match=reason):
        Recording.of(runs)


@pytest.mark.parametrize("kind", ["random", "qmc", "grid", "tpe", "bowl"])
@pytest.mark.parametrize("scheduler", ["none", "asha", "hyperband"])
def test_a_replay_is_deterministic_and_tries_every_point_once(kind, scheduler):
    recording = table()
    first, again = (list(simulate(problem(recording, kind, scheduler, slots=3), recording)) for _ in range(2))
    assert first == again
    assert len({tuple(trial.parameters.items()) for trial in first}) == len(first) == recording.space.size


def test_slots_work_side_by_side():
    recording = table()
    for slots in (1, 2, 4):
        trials = list(simulate(problem(recording, slots=slots), recording))
        assert trials[-1].ended == pytest.approx(90.0 * 24 / slots)
        assert trials[-1].spent == pytest.approx(90.0 * 24)
    assert trials[0].spent == pytest.approx(90.0 * 4)


def test_a_failed_run_costs_and_has_no_value():
    runs = [run(*point, failed=point[0] == 0.016) for point in itertools.product(RATES, BATCHES)]
    trials = list(simulate(problem(Recording.of(runs)), Recording.of(runs)))
    for trial in trials:
        assert trial.state == ("FAIL" if trial.parameters["learning_rate"] == 0.016 else "COMPLETE")
        assert (trial.values is None) == (trial.state == "FAIL")
    assert trials[-1].spent == pytest.approx(90.0 * 24)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_scheduler_stops_what_is_worse_at_a_rung_and_saves_its_cost(direction):
    sign = 1 if direction == "minimize" else -1
    runs = [
        RecordedRun(
            each.parameters,
            tuple(RecordedEvaluation(one.number, (sign * one.values[0],), one.cost) for one in each.evaluations),
            each.cost,
        )
        for each in table().runs
    ]
    recording = Recording.of(runs)
    trials = list(simulate(problem(recording, scheduler="asha", direction=direction), recording))
    pruned = [trial for trial in trials if trial.state == "PRUNED"]
    assert len(pruned) > 10
    assert trials[-1].spent < 0.6 * 90.0 * 24
    at_rungs = {round(EVALUATIONS * (trial.ended - before) / 90.0) for before, trial in _with_starts(trials)}
    assert at_rungs <= {*rungs(EVALUATIONS, 3, 1), EVALUATIONS}


def _with_starts(trials):
    """With one slot, each trial begins when the one before ends."""
    return zip([0.0, *(trial.ended for trial in trials)], trials, strict=False)


def test_who_stops_reading_stops_the_search():
    recording = table()
    simulation = simulate(problem(recording), recording)
    assert next(simulation).number == 0
    simulation.close()
