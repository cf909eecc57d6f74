"""What every sampler promises, whatever its kind."""

import dataclasses
import functools
import itertools
import math
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.constraints import Constraints, TotalParameters
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.pareto import hypervolume
from search.plan import Plan
from search.problem import PastTrial, SearchProblem
from search.samplers import build_sampler
from search.samplers.methods import METHODS
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
CHECKED = Constraints(
    total_parameters=TotalParameters(target=1_000_000),
    expressions=("depth * learning_rate <= 0.06", "depth * learning_rate >= 0.04"),
)
"""A narrow band: about one draw in ten lies in it."""
CONDITIONS = {"weight_decay": {"vocabulary_size": (2048, 16384)}}
KINDS = sorted(METHODS)
ADAPTIVE = [kind for kind in KINDS if METHODS[kind].adaptive]
QUICK = [kind for kind in KINDS if kind not in ("gp", "zero_cost")]
"""A suggestion of gp takes a tenth of a second, once it has ten points, and zero_cost one at its beginning."""
FURTHER = {"cascade": {"family": "vocabulary_size"}}
"""What a kind needs beside its name."""
MAXIMISED = ("tpe", "cmaes", "zoopt")
"""One for each way in which a direction is handed on."""


def problem(kind, count=40, seed=0, objectives=1, inner=None):
    metrics = ("bits_per_byte", "embedding_share", "total_parameters")[:objectives]
    return SearchProblem(
        study="study-1",
        space=Space.build(FINITE if kind == "grid" else SPACE, inner or {}, BUDGET, ProxySettings(train_bytes=1000)),
        objectives=tuple(Objective(metric=metric) for metric in metrics),
        sampler=SamplerSpec(kind=kind, seed=seed, **FURTHER.get(kind, {})),
        scheduler=SchedulerSpec(),
        max_trial_count=count,
        parallel_trial_count=2,
        resources=Resources(),
        storage=Path("unused"),
    )


def drawn(kind):
    """How many points a test of this kind takes."""
    return {"gp": 12, "grid": 24}.get(kind, 40)


def bowl(values):
    """0 at best; about 0.5 at the median of the space."""
    rate, vocabulary = math.log10(values.get("learning_rate", 1e-2)), math.log2(values["vocabulary_size"])
    return (rate + 1.5) ** 2 + abs(values["depth"] - 4) / 10 + abs(vocabulary - 11) / 10


def several(values, count):
    """A trade-off between a high and a low rate, and between deep and shallow."""
    return (bowl(values), abs(math.log10(values["learning_rate"]) + 2.8), values["depth"] / 12)[:count]


def drive(sampler, outers, value=bowl):
    """Ask for points and tell them, one after the other; the points and their values."""
    told = []
    for outer in outers:
        point = sampler.point(outer)
        objectives = value(point.values)
        told.append((point.values, objectives if isinstance(objectives, tuple) else (objectives,)))
        sampler.tell(outer, told[-1][1])
    return told


def rebuilt(made, told):
    sampler = build_sampler(made)
    for outer, (values, _) in enumerate(told):
        sampler.restore(outer, values)
    for outer, (_, objectives) in enumerate(told):
        sampler.tell(outer, objectives)
    return sampler


def run(plan, value=bowl, parallel=1):
    """Run a plan with so many trials at once, of which the last one always ends first; trials and values."""
    done, running = [], []
    while True:
        while len(running) < parallel and (group := plan.start_next()):
            running += group
        if not running:
            break
        trial = running.pop()
        done.append((trial, value(trial.parameters)))
        plan.end(trial.number, None if done[-1][1] is None else (done[-1][1],))
    assert plan.finished
    return sorted(done, key=lambda pair: pair[0].number)


def test_every_kind_of_a_spec_has_a_row_in_the_table():
    assert set(get_args(SamplerSpec.model_fields["kind"].annotation)) == set(METHODS)
    for kind in KINDS:
        build_sampler(problem(kind))


@pytest.mark.parametrize("kind", QUICK)
def test_every_number_is_run_once_and_every_point_is_legal(kind):
    made = problem(kind, count=2 * drawn(kind), inner={"seed": (0, 1)})
    done = run(Plan(made, []))
    assert [trial.number for trial, _ in done] == list(range(2 * drawn(kind)))
    for _, pair in itertools.groupby(done, key=lambda one: one[0].number // 2):
        first, second = (trial.parameters for trial, _ in pair)
        assert {**first, "seed": 1} == second
        outer = {name: value for name, value in first.items() if name != "seed"}
        assert made.space.point(made.space.unit(outer)).values == pytest.approx(outer)
        for name in made.space.names:
            assert outer[name] in made.space.parameters[name].values() if name != "learning_rate" else True
        assert 1e-3 <= outer.get("learning_rate", 1e-2) <= 1e-1


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_that_goes_on_chooses_what_it_would_have_chosen(kind):
    """Whether it is interrupted, and how often, changes nothing: neither draws nor what was learnt are lost."""
    made = problem(kind)
    count = drawn(kind)
    whole = drive(build_sampler(made), range(count))
    for kept in (count - 1,) if kind == "gp" else (0, 1, count // 2, count - 2):
        assert drive(rebuilt(made, whole[:kept]), range(kept, count)) == whole[kept:], kept


@pytest.mark.parametrize("kind", QUICK)
def test_the_seed_decides(kind):
    first, again, other = (drive(build_sampler(problem(kind, seed=seed)), range(11)) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("kind", QUICK)
def test_numpys_global_generator_is_left_alone(kind):
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()
    points = drive(build_sampler(problem(kind)), range(11))
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(6)
    assert drive(build_sampler(problem(kind)), range(11)) == points


@pytest.mark.parametrize("kind", ["random", "qmc", "bowl", "tpe", "cmaes", "nsga2", "nsga3", "zoopt"])
def test_points_satisfy_constraints_and_conditions(kind):
    space = {**SPACE, "weight_decay": FloatParameter(type="float", low=0.0, high=0.3)}
    built = Space.build(space, {}, CHECKED, ProxySettings(train_bytes=1000), CONDITIONS)
    made = dataclasses.replace(problem(kind), space=built)
    whole = drive(build_sampler(made), range(30))
    for values, _ in whole:
        assert built.accepts(values)
        assert 0.04 <= values["depth"] * values["learning_rate"] <= 0.06
        assert ("weight_decay" in values) == (values["vocabulary_size"] != 512)
    assert drive(rebuilt(made, whole[:20]), range(20, 30)) == whole[20:]


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from([kind for kind in QUICK if kind != "grid"]),
    states=st.lists(st.sampled_from(["RUNNING", "COMPLETE", "PRUNED", "FAIL", "INFEASIBLE", None]), max_size=40),
)
def test_a_search_goes_on_from_any_history(kind, states):
    """Of points that it has not chosen itself, as those that were asked for by hand are."""
    made = problem(kind, count=44)
    space, generator = made.space, np.random.default_rng(len(states))
    history = []
    for number, state in enumerate(states):
        if state is not None:
            units = generator.choice([0.0, 0.25, 0.9, 1.0], len(space.names)).tolist()
            values = space.point(dict(zip(space.names, units, strict=True))).values
            told = (bowl(values),) if state in ("COMPLETE", "PRUNED") else None
            history.append(PastTrial(number, values, {}, state, told))
    ended = {row.number for row in history if row.state != "RUNNING"}
    done = run(Plan(made, history), parallel=3)
    assert [trial.number for trial, _ in done] == sorted(set(range(44)) - ended)


@pytest.mark.parametrize("kind", QUICK)
@pytest.mark.parametrize("failing", ["all", "the first ten", "a third"])
def test_failures_do_not_end_a_search(kind, failing):
    ends = iter(range(100))

    def value(values):
        end = next(ends)
        fails = {"all": True, "the first ten": end < 10, "a third": end % 3 == 0}[failing]
        return None if fails else bowl(values)

    done = run(Plan(problem(kind, count=drawn(kind) + 2), []), value, parallel=2)
    assert len(done) >= drawn(kind)


@pytest.mark.parametrize("kind", QUICK)
def test_many_points_may_run_at_once(kind):
    sampler = build_sampler(problem(kind))
    points = [sampler.point(outer).values for outer in range(20)]
    assert len({tuple(values.items()) for values in points}) >= 18
    for outer in reversed(range(20)):
        sampler.tell(outer, (bowl(points[outer]),))
    again = [sampler.point(outer).values for outer in range(20, 23)]
    assert len({tuple(values.items()) for values in again}) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_another_attempt_gives_another_point_and_can_be_told(kind):
    if kind == "grid":
        pytest.skip("each point of a grid is there once")
    made = problem(kind)
    sampler = build_sampler(made)
    first = drawn(kind)
    told = drive(sampler, range(first))
    attempts = 2 if kind == "gp" else 4
    tried = [sampler.point(first, attempt).values for attempt in range(attempts)]
    assert len({tuple(values.items()) for values in tried}) == attempts
    sampler.restore(first, tried[0])
    sampler.tell(first, (1.0,))
    following = sampler.point(first + 1).values
    assert rebuilt(made, [*told, (tried[0], (1.0,))]).point(first + 1).values == following, "attempts leave no trace"


@pytest.mark.parametrize(
    ("kind", "direction"),
    [*((kind, "minimize") for kind in ADAPTIVE), *((kind, "maximize") for kind in MAXIMISED)],
)
def test_adaptive_samplers_beat_random_draws(kind, direction):
    """The mean of the last third of the points, of several seeds together."""
    count, seeds = (15, 1) if kind in ("gp", "zero_cost") else (60, 3)
    ours = np.mean([late(kind, direction, count, seed) for seed in range(seeds)])
    theirs = np.mean([late("random", "minimize", 60, seed) for seed in range(8)])
    assert ours < 0.7 * theirs


@functools.cache
def late(kind, direction, count, seed):
    """The mean of the bowl over the last third of the points of a search for its bottom."""
    sign, metric = (1, "bits_per_byte") if direction == "minimize" else (-1, "embedding_share")
    objectives = (Objective(metric=metric, direction=direction),)
    made = dataclasses.replace(problem(kind, count=count, seed=seed), objectives=objectives)
    told = drive(build_sampler(made), range(count), lambda values: sign * bowl(values))
    return np.mean([sign * values[0] for _, values in told[-count // 3 :]])


@pytest.mark.parametrize(("kind", "count"), [("tpe", 2), ("nsga2", 2), ("nsga2", 3), ("nsga3", 2), ("nsga3", 3)])
def test_a_front_of_several_objectives_is_found_sooner_than_by_random_draws(kind, count):
    points = 80 if kind == "tpe" else 160
    reference = np.array([1.5, 1.5, 1.0][:count])

    def found(kind, seed):
        made = problem(kind, count=points, seed=seed, objectives=count)
        told = drive(build_sampler(made), range(points), lambda values: several(values, count))
        return hypervolume(np.array([values for _, values in told]), reference)

    ours, theirs = (np.mean([found(which, seed) for seed in range(3)]) for which in (kind, "random"))
    assert ours > theirs


def test_a_gaussian_process_takes_several_objectives():
    sampler = build_sampler(problem("gp", objectives=2))
    told = drive(sampler, range(11), lambda values: several(values, 2))
    assert len({tuple(values.items()) for values, _ in told}) == 11
