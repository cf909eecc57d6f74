"""Groups of trials that are trained as one program: what may share one, and that each number runs exactly once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from search.constraints import Constraints
from search.parameters import IntParameter
from search.plan import MAX_LOST_WORKERS, Plan
from search.problem import PastState, PastTrial, PlannedTrial
from search.problem import SearchProblem as Problem
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from search.stacks import program_key
from trainer.config import ProxySettings
from trainer.stacks import STACKABLE_NAMES

INNER = {"learning_rate": (1e-3, 2e-3, 4e-3), "batch_tokens": (256, 512), "seed": (0, 1)}


def make_problem(stack: int, count: int = 30, kind: str = "random", inner: dict[str, Any] | None = None) -> Problem:
    depth = IntParameter(type="int", low=1, high=2)
    return Problem(
        study="study-1",
        space=Space.build({"depth": depth}, inner or INNER, Constraints(), ProxySettings(train_bytes=1000)),
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec.model_validate({"kind": kind}),
        scheduler=SchedulerSpec(),
        max_trial_count=count,
        parallel_trial_count=2,
        resources=Resources(stack=stack),
        storage=Path("unused"),
    )


def numbers(group: tuple[PlannedTrial, ...]) -> list[int]:
    return [trial.number for trial in group]


def fixed(trial: PlannedTrial) -> dict[str, Any]:
    """What the trials of a program share, and their outer point."""
    return {name: value for name, value in trial.parameters.items() if name not in STACKABLE_NAMES}


class AnyOrder(RuleBasedStateMachine):
    """Groups end trial by trial, lose their workers, and the search is started anew, in any order."""

    @initialize(
        stack=st.integers(1, 14), count=st.integers(1, 40), kind=st.sampled_from(["random", "qmc", "grid", "tpe"])
    )
    def begin(self, stack: int, count: int, kind: str) -> None:
        self.problem = make_problem(stack, count, kind)
        self.total = min(count, 24)  # two depths at twelve inner points, none of them twice
        self.plan = Plan(self.problem, [])
        self.rows: dict[int, PastTrial] = {}
        self.groups: list[dict[int, PlannedTrial]] = []
        self.first: dict[int, PlannedTrial] = {}

    def store(self, trial: PlannedTrial, state: PastState, lost: int = 0) -> None:
        before = self.rows.get(trial.number)
        workers = lost + (before.lost_workers if before else 0)
        values = (2.0,) if state == "COMPLETE" else None
        self.rows[trial.number] = PastTrial(
            trial.number, trial.parameters, trial.attributes, state, values, lost_workers=workers
        )

    @rule()
    def start(self) -> None:
        group = self.plan.start_next()
        if not group:
            return
        assert len(group) <= self.problem.resources.stack
        assert all(fixed(trial) == fixed(group[0]) for trial in group)
        for trial in group:
            assert trial.number not in {number for running in self.groups for number in running}
            assert trial == self.first.setdefault(trial.number, trial)
            before = self.rows.get(trial.number)
            assert before is None or before.state == "WAITING"
            assert len(group) == 1 or before is None or before.lost_workers < MAX_LOST_WORKERS - 1
            self.store(trial, "RUNNING")
        self.groups.append({trial.number: trial for trial in group})

    @precondition(lambda self: self.groups)
    @rule(data=st.data(), failed=st.booleans())
    def end_one(self, data: st.DataObject, failed: bool) -> None:
        group = data.draw(st.sampled_from(self.groups))
        number = data.draw(st.sampled_from(sorted(group)))
        self.store(group.pop(number), "FAIL" if failed else "COMPLETE")
        self.plan.end(number, None if failed else (2.0,))
        self.groups = [left for left in self.groups if left]

    @precondition(lambda self: self.groups)
    @rule(data=st.data())
    def lose_a_worker(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self.groups))
        self.groups.remove(group)
        for number, trial in group.items():
            again = self.plan.lose(number)
            self.store(trial, "WAITING" if again else "FAIL", lost=1)
            assert again == (self.rows[number].lost_workers < MAX_LOST_WORKERS)

    @rule()
    def start_anew(self) -> None:
        for group in self.groups:
            for trial in group.values():
                self.store(trial, "WAITING")
        self.groups = []
        self.plan = Plan(self.problem, list(self.rows.values()))

    @invariant()
    def finished_means_that_every_number_has_ended(self) -> None:
        unfinished = [row for row in self.rows.values() if row.state in ("WAITING", "RUNNING")]
        if self.plan.finished:
            assert not unfinished
            assert sorted(self.rows) == list(range(self.total))

    def teardown(self) -> None:
        while self.groups:
            group = self.groups.pop()
            for number, trial in group.items():
                self.store(trial, "COMPLETE")
                self.plan.end(number, (2.0,))
        for group in iter(self.plan.start_next, ()):
            for trial in group:
                assert self.rows.get(trial.number) is None or self.rows[trial.number].state == "WAITING"
                self.store(trial, "COMPLETE")
                self.plan.end(trial.number, (2.0,))
        self.finished_means_that_every_number_has_ended()
        assert self.plan.finished


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_group_holds_the_inner_points_of_one_outer_point_that_differ_in_stackable_names_only() -> None:
    plan = Plan(make_problem(stack=4, count=15), [])
    groups = list(iter(lambda: numbers(plan.start_next()), []))
    assert groups == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9], [10, 11], [12, 13], [14]]


def test_without_a_stack_every_group_is_one_trial() -> None:
    plan = Plan(make_problem(stack=1, count=5), [])
    assert [numbers(plan.start_next()) for _ in range(6)] == [[0], [1], [2], [3], [4], []]


def test_what_is_left_of_a_group_is_grouped_anew() -> None:
    plan = Plan(make_problem(stack=6, count=12), [])
    assert numbers(plan.start_next()) == [0, 1, 4, 5, 8, 9]
    for number in (1, 8):
        plan.end(number, (2.0,))
    for number in (0, 4, 5, 9):
        assert plan.lose(number)
    assert numbers(plan.start_next()) == [0, 4, 5, 9]


def test_a_trial_with_one_attempt_left_is_not_taken_along_by_another() -> None:
    made = make_problem(stack=6, count=12)
    second = Plan(made, []).start_next()[1]
    waiting = PastTrial(second.number, second.parameters, {}, "WAITING", None, lost_workers=MAX_LOST_WORKERS - 1)
    plan = Plan(made, [waiting])
    assert [numbers(plan.start_next()) for _ in range(3)] == [[0, 4, 5, 8, 9], [1], [2, 3, 6, 7, 10, 11]]


def test_a_trial_with_one_attempt_left_runs_alone() -> None:
    plan = Plan(make_problem(stack=6, count=12), [])
    for _ in range(MAX_LOST_WORKERS - 1):
        for trial in plan.start_next():
            plan.lose(trial.number)
    assert [numbers(plan.start_next()) for _ in range(7)] == [[0], [1], [4], [5], [8], [9], [2, 3, 6, 7, 10, 11]]


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ({"learning_rate": 1e-3, "seed": 0}, {"learning_rate": 2e-3, "seed": 1}, True),
        ({"weight_decay": 0.0, "init_std": 0.02}, {"weight_decay": 0.1, "init_std": 0.01}, True),
        ({"init_scheme": "constant"}, {"init_scheme": "gpt2"}, True),
        ({"init_scheme": "mup"}, {"init_scheme": "gpt2"}, False),
        ({"init_scheme": "mup", "seed": 0}, {"init_scheme": "mup", "seed": 1}, True),
        ({"seed": 0, "batch_tokens": 512}, {"seed": 1, "batch_tokens": 1024}, False),
        ({"seed": 0, "warmup_tokens": 512}, {"seed": 0, "warmup_tokens": 1024}, False),
    ],
)
def test_what_may_share_a_program(one: dict[str, Any], other: dict[str, Any], together: bool) -> None:
    assert (program_key(one) == program_key(other)) is together
