"""The plan: which trial runs next, without Ray."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import InvalidInput
from search.constraints import Constraints, TotalParameters
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.plan import MAX_LOST_WORKERS, Plan, outer_values
from search.problem import PastTrial, SearchProblem
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from trainer.config import ProxySettings

SPACE = {
    "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
    "depth": IntParameter(type="int", low=1, high=12),
    "vocabulary_size": CategoricalParameter(type="categorical", choices=(512, 2048, 16384)),
}
FINITE = {name: SPACE[name] for name in ("depth", "vocabulary_size")}
BUDGET = Constraints(total_parameters=TotalParameters(target=1_000_000))


def problem(kind, count=12, space=SPACE, inner=None, direction="minimize", seed=0):
    return SearchProblem(
        study="study-1",
        space=Space.build(space, inner or {}, BUDGET, ProxySettings(train_bytes=1000)),
        objectives=(
            Objective(metric="bits_per_byte" if direction == "minimize" else "embedding_share", direction=direction),
        ),
        sampler=SamplerSpec(kind=kind, seed=seed),
        scheduler=SchedulerSpec(),
        max_trial_count=count,
        parallel_trial_count=2,
        resources=Resources(),
        storage=Path("unused"),
    )


def bowl(trial):
    return (math.log10(trial.parameters["learning_rate"]) + 2) ** 2 + abs(trial.parameters["depth"] - 4) / 10


def run(plan, value=lambda trial: 1.0):
    """Run one group after the other; the trials and their values."""
    done = []
    for group in iter(plan.start_next, ()):
        for trial in group:
            done.append((trial, value(trial)))
            plan.end(trial.number, told(done[-1][1]))
    assert plan.finished
    return done


def told(value):
    """The objectives of a trial."""
    return None if value is None else (value,)


def start(plan):
    """The next trial of a plan that stacks none."""
    (trial,) = plan.start_next()
    return trial


def past(done, state="COMPLETE"):
    return [PastTrial(trial.number, trial.parameters, trial.attributes, state, told(value)) for trial, value in done]


@pytest.mark.parametrize("kind", ["random", "qmc", "grid", "tpe"])
def test_every_number_is_handed_out_once(kind):
    space = FINITE if kind == "grid" else SPACE
    done = run(Plan(problem(kind, inner={"seed": (0, 1, 2)}, count=10, space=space), []))
    assert [trial.number for trial, _ in done] == list(range(10))
    for outer, trials in itertools.groupby(done, key=lambda pair: pair[0].number // 3):
        shapes = {(trial.parameters["depth"], trial.parameters["width"]) for trial, _ in trials}
        assert len(shapes) == 1, outer


@pytest.mark.parametrize("kind", ["random", "qmc"])
def test_a_declared_design_depends_on_seed_and_index_alone(kind):
    first = run(Plan(problem(kind), []))
    assert run(Plan(problem(kind, count=20), []))[:12] == first
    assert run(Plan(problem(kind), []), value=lambda trial: None)[3][0] == first[3][0]
    assert run(Plan(problem(kind, seed=1), []))[3][0] != first[3][0]


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from(["random", "qmc", "tpe"]),
    states=st.lists(
        st.sampled_from(["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL", "INFEASIBLE", None]), max_size=9
    ),
)
def test_a_search_goes_on_from_any_history(kind, states):
    made = problem(kind, count=9, inner={"seed": (0, 1)})
    rows = past(run(Plan(made, []), bowl))
    history = [
        PastTrial(row.number, row.parameters, row.attributes, state, row.values if state == "COMPLETE" else None)
        for row, state in zip(rows, states, strict=False)
        if state is not None
    ]
    again = run(Plan(made, history), bowl)
    ended = {row.number for row in history if row.state not in ("WAITING", "RUNNING")}
    assert [trial.number for trial, _ in again] == sorted(set(range(9)) - ended)
    kept = {row.number: row for row in history}
    for trial, _ in again:
        if trial.number in kept:
            assert trial.parameters == kept[trial.number].parameters
            assert trial.attributes == kept[trial.number].attributes
        sibling = kept.get(trial.number ^ 1)
        if sibling is not None:
            assert trial.parameters["learning_rate"] == sibling.parameters["learning_rate"]


def test_trials_that_failed_have_no_value_whatever_the_row_says():
    made = problem("tpe", count=30)
    whole = run(Plan(made, []), bowl)[:20]
    informed, uninformed = Plan(made, past(whole)), Plan(made, past(whole, "FAIL"))
    assert start(informed).parameters != start(uninformed).parameters


def test_a_finished_history_is_finished():
    made = problem("random")
    assert Plan(made, past(run(Plan(made, [])), "FAIL")).finished


def test_a_lost_attempt_runs_again_first_and_fails_in_the_end():
    plan = Plan(problem("random", count=3), [])
    first = start(plan)
    for _ in range(MAX_LOST_WORKERS - 1):
        assert plan.lose(first.number)
        assert start(plan) == first
    assert not plan.lose(first.number)
    assert [start(plan).number for _ in range(2)] == [1, 2]
    assert plan.start_next() == ()
    assert not plan.finished
    assert plan.lose(2)
    assert start(plan).number == 2


def test_workers_lost_in_earlier_runs_count():
    made = problem("random", count=3)
    first = start(Plan(made, []))
    lost = PastTrial(first.number, first.parameters, {}, "WAITING", None, lost_workers=MAX_LOST_WORKERS - 1)
    plan = Plan(made, [lost])
    assert start(plan).number == first.number
    assert not plan.lose(first.number)


def test_a_grid_is_shuffled_by_the_seed_and_ends_when_exhausted():
    orders = [
        [tuple(trial.parameters.values()) for trial, _ in run(Plan(problem("grid", 500, FINITE, seed=seed), []))]
        for seed in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0]) == set(orders[2])
    assert len(set(orders[0])) == len(orders[0]) == Space.build(FINITE, {}, BUDGET, ProxySettings()).size < 36
    assert orders[0] != sorted(orders[0])


def test_a_grid_over_a_continuum_is_refused():
    with pytest.raises(InvalidInput) as caught:
        Plan(problem("grid"), [])
    assert caught.value.field == "space.learning_rate"


@pytest.mark.parametrize("kind", ["random", "qmc", "tpe", "grid"])
def test_a_space_without_parameters_is_one_point(kind):
    assert len(run(Plan(problem(kind, space={}, inner={"learning_rate": (1e-3, 1e-2)}), []))) == 2


def test_qmc_covers_evenly():
    done = run(Plan(problem("qmc", count=64, space={"learning_rate": SPACE["learning_rate"]}), []))
    units = np.sort([math.log10(trial.parameters["learning_rate"]) / 2 + 1.5 for trial, _ in done])
    assert np.abs(units - (np.arange(64) + 0.5) / 64).max() < 1 / 64


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_tpe_learns(direction):
    sign = 1 if direction == "minimize" else -1
    done = run(Plan(problem("tpe", count=60, direction=direction), []), lambda trial: sign * bowl(trial))
    values = [sign * value for _, value in done]
    assert np.mean(values[-20:]) < 0.6 * np.mean(values[:10])


def test_tpe_learns_from_the_rows_of_an_earlier_run():
    made = problem("tpe", count=60)
    whole = run(Plan(made, []), bowl)
    rest = run(Plan(made, past(whole[:40])), bowl)
    early = [value for _, value in whole[:10]]
    assert len(rest) == 20
    assert np.mean([value for _, value in rest]) < 0.6 * np.mean(early)


def test_tpe_goes_on_through_failures_and_values_that_are_no_numbers():
    def value(trial):
        return {0: None, 1: math.nan, 2: math.inf}.get(trial.number % 4, bowl(trial))

    assert len(run(Plan(problem("tpe", count=30, inner={"seed": (0,)}), []), value)) == 30


def test_tpe_keeps_parallel_trials_apart():
    plan = Plan(problem("tpe", count=40), past(run(Plan(problem("tpe", count=20), []), bowl)))
    running = [start(plan) for _ in range(8)]
    assert len({trial.parameters["learning_rate"] for trial in running}) == 8


@pytest.mark.parametrize(
    ("ended", "direction", "value"),
    [
        ({0: 1.0, 1: 3.0, 2: 2.0, 3: 2.5}, "minimize", 2.0),
        ({0: 1.0, 1: 3.0, 2: 2.0, 3: 2.5}, "maximize", 2.25),
        ({0: 1.0, 1: None, 2: 4.0, 3: 2.0}, "minimize", 3.0),
        ({0: None, 1: 1.0, 2: None, 3: 1.0}, "minimize", None),
    ],
)
def test_an_outer_point_is_worth_the_best_mean_over_its_seeds(ended, direction, value):
    inner = [{"learning_rate": rate, "seed": seed} for rate in (1e-3, 1e-2) for seed in (0, 1)]
    expected = None if value is None else (value,)
    assert outer_values({number: told(value) for number, value in ended.items()}, inner, direction) == expected
