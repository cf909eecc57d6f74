"""The plan of a study that goes on: points of users, duplicates, further trials, leaders on fresh seeds."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.constraints import Constraints, TotalParameters
from search.given import given_point
from search.orders import EnqueuedPoint, Orders
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.plan import Plan
from search.problem import PastTrial, PlannedTrial, SearchProblem
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec, Seeds
from search.space import Space
from search.start import EarlierTrial, Start
from trainer.config import ProxySettings

FINITE = {
    "depth": IntParameter(type="int", low=1, high=6),
    "weight_decay": CategoricalParameter(type="categorical", choices=(0.0, 0.1, 0.2)),
}
WIDE = {
    "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
    "depth": IntParameter(type="int", low=1, high=12),
}
DESIGNS = ("random", "qmc", "grid")
ADAPTIVE = ("tpe", "cmaes", "nsga2", "nsga3", "zoopt", "bowl", "cascade", "zero_cost")
FURTHER: dict[str, dict[str, Any]] = {
    "cascade": {"family": "depth", "below": "random"},
    "zero_cost": {"below": "random", "first": 2},
}


def problem(
    kind: str = "random", count: int = 12, space: Any = None, inner: Any = None, **further: Any
) -> SearchProblem:
    budget = Constraints(total_parameters=TotalParameters(target=1_000_000))
    made = SearchProblem(
        study="study-1",
        space=Space.build(FINITE if space is None else space, inner or {}, budget, ProxySettings(train_bytes=1000)),
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec.model_validate({"kind": kind, **FURTHER.get(kind, {})}),
        scheduler=SchedulerSpec(),
        max_trial_count=count,
        parallel_trial_count=2,
        resources=Resources(),
        storage=Path("unused"),
    )
    return replace(made, **further)


def value_of(trial: PlannedTrial | PastTrial) -> float:
    """Any function of the parameters, the seed among them."""
    return random.Random(repr(sorted(trial.parameters.items()))).random()


def row(trial: PlannedTrial, state: Any = "COMPLETE") -> PastTrial:
    values = (value_of(trial),) if state == "COMPLETE" else None
    return PastTrial(trial.number, trial.parameters, trial.attributes, state, values)


def run(plan: Plan, most: int = 10_000) -> list[PlannedTrial]:
    done = []
    while len(done) < most and (group := plan.start_next()):
        for trial in group:
            plan.end(trial.number, (value_of(trial),))
            done.append(trial)
    return done


def points(trials: list[PlannedTrial]) -> list[tuple[Any, ...]]:
    return [tuple(trial.parameters.values()) for trial in trials]


def enqueued(made: SearchProblem, *given: dict[str, Any], may_repeat: bool = False) -> tuple[EnqueuedPoint, ...]:
    return tuple(
        EnqueuedPoint(position, given_point(made.space, values, "point").values, may_repeat)
        for position, values in enumerate(given)
    )


@pytest.mark.parametrize("kind", ["random", "qmc", "tpe", "bowl"])
def test_every_point_satisfies_what_the_space_only_checks(kind: str) -> None:
    space = {
        "learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True),
        "weight_decay": FloatParameter(type="float", low=0.0, high=0.3),
    }
    constraints = Constraints(expressions=("learning_rate * weight_decay <= 0.0002",))
    made = replace(problem(kind, count=40), space=Space.build(space, {}, constraints, ProxySettings(train_bytes=1000)))
    assert made.space.acceptance.rate < 0.3
    done = run(Plan(made, []))
    assert len(done) == 40
    assert all(made.space.accepts(trial.parameters) for trial in done)


FIRST, SECOND = {"depth": 3, "weight_decay": 0.1}, {"depth": 6, "weight_decay": 0.0}


@pytest.mark.parametrize("kind", [*DESIGNS, *ADAPTIVE])
def test_a_finite_space_is_tried_whole_and_once(kind: str) -> None:
    made = problem(kind, count=100)
    done = run(Plan(made, []))
    assert len(done) == len(set(points(done))) == made.space.size
    assert [trial.number for trial in done] == list(range(len(done)))


@pytest.mark.parametrize("kind", ["random", "qmc", *ADAPTIVE])
def test_duplicates_are_tried_where_they_are_allowed(kind: str) -> None:
    done = run(Plan(problem(kind, count=100, allow_duplicates=True), []))
    assert len(done) == 100 > len(set(points(done)))


@settings(max_examples=25)
@given(
    kind=st.sampled_from(DESIGNS),
    count=st.integers(1, 25),
    stop=st.integers(0, 25),
    unrecorded=st.integers(0, 2),
    given_now=st.booleans(),
)
def test_a_declared_design_goes_on_as_if_it_had_not_been_cut_off(
    kind: str, count: int, stop: int, unrecorded: int, given_now: bool
) -> None:
    """Also where the driver was killed after it handed trials out and before it stored them."""
    made = problem(kind, count=count, inner={"learning_rate": (1e-3, 2e-3)})
    orders = Orders(count, enqueued(made, FIRST, SECOND) if given_now else ())
    whole = run(Plan(made, [], lambda: orders))
    kept = [row(trial) for trial in whole[: max(0, stop - unrecorded)]]
    assert [row(trial) for trial in whole] == kept + [row(trial) for trial in run(Plan(made, kept, lambda: orders))]


@pytest.mark.parametrize("kind", [*DESIGNS, *ADAPTIVE])
def test_enqueued_points_run_first_at_every_inner_point_and_once(kind: str) -> None:
    made = problem(kind, count=12, inner={"learning_rate": (1e-3, 2e-3)})
    waiting: tuple[EnqueuedPoint, ...] = ()
    plan = Plan(made, [], lambda: Orders(12, waiting))
    before = run(plan, most=2)
    waiting = enqueued(made, FIRST, SECOND)
    after = run(plan)
    assert [trial.attributes["origin"] for trial in before + after] == ["design"] * 2 + ["enqueued"] * 4 + [
        "design"
    ] * 6
    assert [trial.parameters["depth"] for trial in after[:4]] == [3, 3, 6, 6]
    assert [trial.parameters["learning_rate"] for trial in after[:4]] == [1e-3, 2e-3] * 2
    assert [trial.attributes["enqueued_point"] for trial in after[:4]] == [0, 0, 1, 1]
    rows = [row(trial) for trial in before + after[:1]]
    assert run(Plan(made, rows, lambda: Orders(12, waiting)))[0].number == 3
    assert [trial.number for trial in before + after] == list(range(12))


@pytest.mark.parametrize("kind", ["random", "qmc"])
def test_what_is_enqueued_does_not_change_the_design(kind: str) -> None:
    made = problem(kind, count=12, space=WIDE)
    orders = Orders(14, enqueued(made, {"learning_rate": 0.003, "depth": 2}, {"learning_rate": 0.003, "depth": 3}))
    with_points = [trial for trial in run(Plan(made, [], lambda: orders)) if trial.attributes["origin"] == "design"]
    assert points(with_points) == points(run(Plan(made, [])))


def test_a_point_enqueued_between_two_drivers_leaves_no_index_out() -> None:
    """A slot that a killed driver never stored goes to the point, and the design's point to the slot after it."""
    made = problem("qmc", count=6, space=WIDE)
    whole = run(Plan(made, []))
    orders = Orders(7, enqueued(made, {"learning_rate": 0.003, "depth": 2}))
    again = run(Plan(made, [row(whole[0]), row(whole[2])], lambda: orders))
    assert [trial.number for trial in again] == [1, 3, 4, 5, 6]
    assert again[0].attributes["origin"] == "enqueued"
    assert points(again[1:]) == points([whole[1], *whole[3:]])


def test_a_point_that_was_tried_is_not_enqueued_again_unless_asked() -> None:
    made = problem("grid", count=4)
    first = run(Plan(made, []))
    tried = {name: first[0].parameters[name] for name in FINITE}
    for may_repeat in (False, True):
        orders = Orders(5, enqueued(made, tried, may_repeat=may_repeat))
        (further,) = run(Plan(made, [row(trial) for trial in first], lambda orders=orders: orders))
        assert (points([further])[0] == points(first)[0]) is may_repeat


def test_a_point_without_room_for_its_inner_points_waits() -> None:
    made = problem("random", count=3, inner={"learning_rate": (1e-3, 2e-3)})
    orders = Orders(3, enqueued(made, FIRST, SECOND))
    plan = Plan(made, [], lambda: orders)
    done = run(plan)
    assert [trial.attributes["origin"] for trial in done] == ["enqueued", "enqueued", "design"]
    orders = Orders(6, orders.points)
    assert [trial.attributes["origin"] for trial in run(plan)] == ["design", "enqueued", "enqueued"]


def test_start_points_run_first_and_are_no_part_of_the_design() -> None:
    made = problem("qmc", count=6, space=WIDE, start=Start(points=({"learning_rate": 0.003, "depth": 2},)))
    done = run(Plan(made, []))
    assert done[0].parameters["learning_rate"] == 0.003
    assert done[0].attributes["origin"] == "start"
    assert points(done[1:]) == points(run(Plan(replace(made, start=Start()), [])))[:5]
    assert run(Plan(made, [row(done[0])])) == done[1:]


@pytest.mark.parametrize("kind", [*DESIGNS, *ADAPTIVE])
def test_a_search_goes_on_when_it_is_extended(kind: str) -> None:
    made = problem(kind, count=5)
    limit = 5
    plan = Plan(made, [], lambda: Orders(limit))
    first = run(plan)
    assert plan.finished
    limit = 9
    further = run(plan)
    assert [trial.number for trial in further] == [5, 6, 7, 8]
    if kind in DESIGNS:
        assert run(Plan(replace(made, max_trial_count=9), [])) == first + further
        assert run(Plan(replace(made, max_trial_count=9), [row(trial) for trial in first])) == further


def test_earlier_trials_inform_the_sampler_and_are_not_tried_again() -> None:
    made = problem("tpe", count=40, space=WIDE)
    earlier = [EarlierTrial("7", trial.parameters, (value_of(trial),)) for trial in run(Plan(made, []))]
    informed = run(Plan(replace(made, start=Start(earlier=tuple(earlier))), []), most=1)
    assert points(informed)[0] not in points(run(Plan(made, [])))
    finite = problem("tpe", count=100)
    known = run(Plan(finite, []))[:10]
    start = Start(earlier=tuple(EarlierTrial("7", trial.parameters, (1.0,)) for trial in known))
    rest = run(Plan(replace(finite, start=start), []))
    assert not set(points(rest)) & set(points(known))
    assert len(rest) == (finite.space.size or 0) - 10


SEEDS = Seeds(count=3, leaders=2)


def seeded(count: int = 16, **further: Any) -> SearchProblem:
    return problem("random", count=count, inner={"learning_rate": (1e-3, 2e-3)}, seeds=SEEDS, **further)


def test_the_best_settings_are_trained_again_on_fresh_seeds() -> None:
    done = run(Plan(seeded(), []))
    design, replicates = done[:10], done[10:]
    assert [trial.number for trial in done] == list(range(16))
    ranked = sorted(design, key=value_of)
    for place, trial in enumerate(replicates):
        leader = ranked[place // 3]
        assert trial.attributes["origin"] == "replicate"
        assert trial.attributes["replicate_of"] == leader.number
        assert {**trial.parameters, "seed": None} == {**leader.parameters, "seed": None}
    seeds = [trial.parameters["seed"] for trial in replicates]
    assert len(set(seeds)) == 6
    assert 0 not in seeds


def test_replicates_wait_for_the_last_trial_of_the_design() -> None:
    plan = Plan(seeded(), [])
    design = [plan.start_next()[0] for _ in range(10)]
    for trial in design[1:]:
        plan.end(trial.number, (value_of(trial),))
    assert plan.start_next() == ()
    assert not plan.finished
    plan.end(design[0].number, (-1.0,))
    assert plan.start_next()[0].attributes["replicate_of"] == design[0].number


@given(stored=st.sets(st.integers(0, 15)), count=st.sampled_from([16, 19]))
@settings(max_examples=25)
def test_replicates_go_on_from_any_of_their_rows(stored: set[int], count: int) -> None:
    made = seeded(count)
    whole = run(Plan(made, []))
    slots = count - SEEDS.reserved
    kept = [row(trial) for trial in whole if trial.number < slots or trial.number in stored]
    again = run(Plan(made, kept))
    assert again == [trial for trial in whole if trial.number >= slots and trial.number not in stored]


def test_pruned_and_failed_trials_lead_nothing_and_fewer_leaders_leave_numbers_out() -> None:
    plan = Plan(seeded(), [])
    for place in range(10):
        (trial,) = plan.start_next()
        if place == 4:
            plan.end(trial.number, (0.5,))
        else:
            plan.end(trial.number, (0.0,) if place % 2 else None, pruned=True)
    replicates = run(plan)
    assert [trial.number for trial in replicates] == [10, 11, 12]
    assert {trial.attributes["replicate_of"] for trial in replicates} == {4}
    assert plan.finished
    none = Plan(seeded(), [])
    while group := none.start_next():
        none.end(group[0].number, None)
    assert none.finished


def test_an_extended_study_trains_its_new_leaders_on_further_seeds() -> None:
    made = seeded()
    first = run(Plan(made, []))
    longer = replace(made, max_trial_count=28)
    rest = run(Plan(longer, [row(trial) for trial in first]))
    assert [trial.number for trial in rest] == list(range(16, 28))
    assert [trial.attributes["origin"] for trial in rest] == ["design"] * 6 + ["replicate"] * 6
    seeds = [trial.parameters["seed"] for trial in first + rest if trial.attributes["origin"] == "replicate"]
    assert len(set(seeds)) == 12
    best = sorted((trial for trial in first + rest if trial.attributes["origin"] == "design"), key=value_of)[:2]
    assert [trial.attributes["replicate_of"] for trial in rest[6:]] == [best[0].number] * 3 + [best[1].number] * 3


def test_a_design_that_ends_early_has_its_leaders_too() -> None:
    done = run(Plan(problem("grid", count=200, seeds=SEEDS), []))
    size = problem("grid").space.size
    assert size is not None
    assert [trial.attributes["origin"] for trial in done] == ["design"] * size + ["replicate"] * 6


def test_replicates_of_a_leader_share_a_program() -> None:
    plan = Plan(replace(seeded(), resources=Resources(stack=4)), [])
    groups = []
    while group := plan.start_next():
        groups.append([trial.number for trial in group])
        for trial in group:
            plan.end(trial.number, (value_of(trial),))
    assert groups[5:] == [[10, 11, 12], [13, 14, 15]]
