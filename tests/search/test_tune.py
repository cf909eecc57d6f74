"""Searches through a real Ray, with planted objectives."""

import functools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from model.errors import InvalidInput
from search import programs
from search.constraints import Constraints
from search.events import (
    AttemptLost,
    TrialCompleted,
    TrialFailed,
    TrialInfeasible,
    TrialProgress,
    TrialPruned,
    TrialStarted,
)
from search.orders import Orders
from search.parameters import FloatParameter
from search.plan import MAX_LOST_WORKERS
from search.problem import PastTrial, Report, SearchProblem, TrialImpossible
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec, Seeds
from search.space import Space
from search.stopping import Hyperband
from search.tune import run_search
from trainer.config import ProxySettings, evaluation_numbers

ENDS = (TrialCompleted, TrialPruned, TrialFailed, TrialInfeasible)


@pytest.fixture(scope="module", autouse=True)
def _ray():
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(
        address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL"
    )
    yield
    ray.shutdown()


def make_problem(storage, count=6, inner=None, **changes):
    space = Space.build(
        {"learning_rate": FloatParameter(type="float", low=1e-3, high=1e-1, log=True)},
        inner or {},
        Constraints(),
        ProxySettings(train_bytes=1000, evaluations=8),
    )
    fields = {
        "study": "study-7",
        "space": space,
        "objectives": (Objective(metric="bits_per_byte"),),
        "sampler": SamplerSpec(kind="random"),
        "scheduler": SchedulerSpec(),
        "max_trial_count": count,
        "parallel_trial_count": 2,
        "resources": Resources(),
        "storage": storage,
    }
    return SearchProblem(**{**fields, **changes})


@pytest.fixture
def problem(tmp_path):
    return functools.partial(make_problem, tmp_path)


def run(problem, objective, history=(), should_stop=lambda: False):
    events = []
    run_search(problem, history, events.append, should_stop, objective)
    return events


def of(events, *kinds):
    return [event for event in events if isinstance(event, kinds)]


def one_report(requests):
    (request,) = requests
    pid = {"pid": os.getpid()}
    yield [
        Report(request.number, 1, {"bits_per_byte": request.parameters["learning_rate"]}, finished=True, attributes=pid)
    ]


def test_every_trial_runs_once_on_reused_actors_and_leaves_no_litter(problem, tmp_path):
    events = run(problem(count=12), one_report)
    assert sorted(event.number for event in of(events, TrialCompleted)) == list(range(12))
    assert len(of(events, TrialStarted)) == len(of(events, TrialProgress)) == 12
    assert len({event.attributes["pid"] for event in of(events, TrialCompleted)}) <= 3
    started = {event.number: event for event in of(events, TrialStarted)}
    for event in of(events, TrialCompleted):
        assert event.metrics["bits_per_byte"] == started[event.number].parameters["learning_rate"]
        assert started[event.number].attributes["total_parameters"] > 0
    assert list(tmp_path.iterdir()) == []


def short(requests):
    time.sleep(0.05)
    yield from one_report(requests)


def test_short_trials_leave_the_other_actor_time_to_start(problem):
    events = []
    pids = lambda: {event.attributes["pid"] for event in of(events, TrialCompleted)}  # noqa: E731
    run_search(problem(count=2000), [], events.append, lambda: len(pids()) == 2, short)
    assert len(pids()) == 2


def test_trials_that_wait_too_long_run_first(problem, monkeypatch):
    monkeypatch.setattr(programs, "PATIENCE_S", 0.0)
    started = [event.number for event in of(run(problem(count=12, parallel_trial_count=8), one_report), TrialStarted)]
    assert sorted(started[:2]) == [0, 1], "two actors start at once"
    for place, number in enumerate(started):
        overtaken_by = [other for other in started[:place] if other > number]
        assert len(overtaken_by) <= 1, "an actor that was starting for a later trial may take it"


@pytest.mark.parametrize("state", ["WAITING", "COMPLETE"])
def test_what_killed_drivers_of_the_study_left_is_removed(problem, tmp_path, state):
    left, others = ["tune-study-7-a", "tune-study-7-b"], ["tune-study-70-a", "tune-study-8-a", "tokenizers"]
    for name in [*left, *others]:
        (tmp_path / name / "0-trial").mkdir(parents=True)
    values = (0.1,) if state == "COMPLETE" else None
    run(problem(count=1), one_report, [PastTrial(0, {"learning_rate": 0.1}, {}, state, values)])
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_every_outer_point_meets_every_inner_point(problem):
    inner = {"seed": (0, 1), "weight_decay": (0.0, 0.1)}
    started = of(run(problem(count=7, inner=inner), one_report), TrialStarted)
    trials = {event.number: event.parameters for event in started}
    assert len(trials) == 7
    assert len({trials[number]["learning_rate"] for number in range(4)}) == 1
    assert trials[3]["learning_rate"] != trials[4]["learning_rate"]
    assert [(trials[n]["seed"], trials[n]["weight_decay"]) for n in range(4)] == [
        (0, 0.0),
        (0, 0.1),
        (1, 0.0),
        (1, 0.1),
    ]


def troubled(requests):
    """A trial whose number says what happens to it."""
    (request,) = requests
    pid = {"pid": os.getpid()}
    first = request.storage / f"seen-{request.number}"
    again = first.exists()
    first.touch()
    yield [Report(request.number, 1, {"bits_per_byte": 2.0}, attributes=pid)]
    if request.number == 1 and not again:
        os.kill(os.getpid(), signal.SIGKILL)
    if request.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if request.number == 3 and not again:
        raise ConnectionError("storage is away")
    if request.number == 4:
        yield [TrialFailed(request.number, "the loss is 1e9")]
    if request.number == 5:
        raise TrialImpossible("no GPU here")
    if request.number == 6:
        raise ZeroDivisionError("division by zero")
    if request.number == 7:
        yield [Report(request.number, 2, {"bits_per_byte": float("nan")})]
    if request.number == 8:
        yield [Report(request.number, 2, {"validation_loss": 1.0}, finished=True)]
    if request.number == 9:
        return
    yield [Report(request.number, 2, {"bits_per_byte": 1.0}, finished=True, attributes=pid)]


@pytest.fixture(scope="module")
def troubles(tmp_path_factory):
    """Twelve trials in one slot, eight of them in trouble."""
    return run(make_problem(tmp_path_factory.mktemp("troubles"), count=12, parallel_trial_count=1), troubled)


def test_every_number_ends_exactly_once_whatever_happens(troubles):
    assert Counter(event.number for event in of(troubles, *ENDS)) == dict.fromkeys(range(12), 1)
    assert {event.number for event in of(troubles, TrialCompleted)} == {0, 1, 3, 10, 11}


@pytest.mark.parametrize(("number", "attempts"), [(0, 1), (1, 2), (2, MAX_LOST_WORKERS), (3, 2), (6, 1)])
def test_a_killed_worker_costs_an_attempt_and_its_number_runs_again(troubles, number, attempts):
    started = [event for event in of(troubles, TrialStarted) if event.number == number]
    lost = [event for event in of(troubles, AttemptLost) if event.number == number]
    assert len(started) == attempts
    assert all(event.parameters == started[0].parameters for event in started)
    assert len(lost) == min(attempts, MAX_LOST_WORKERS) - 1
    assert all(event.reason for event in lost)


def test_a_transient_error_is_named(troubles):
    assert "storage is away" in next(event.reason for event in of(troubles, AttemptLost) if event.number == 3)


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (2, TrialFailed, f"lost {MAX_LOST_WORKERS} workers"),
        (4, TrialFailed, "the loss is 1e9"),
        (5, TrialInfeasible, "no GPU here"),
        (6, TrialFailed, "ZeroDivisionError: division by zero"),
        (7, TrialFailed, "bits_per_byte is nan at step 2"),
        (8, TrialFailed, "the run did not report bits_per_byte"),
        (9, TrialFailed, "the run ended without its last report"),
    ],
)
def test_a_trial_that_fails_says_why(troubles, number, kind, reason):
    event = next(event for event in of(troubles, *ENDS) if event.number == number)
    assert isinstance(event, kind)
    assert reason in event.reason


def test_a_failed_trial_keeps_its_slot(troubles):
    pids = {event.number: event.attributes["pid"] for event in of(troubles, TrialCompleted)}
    assert pids[3] == pids[10] == pids[11]
    assert len({pids[0], pids[1], pids[3]}) == 3


def stacked(requests):
    """Two trials end on their own, one fails, one gives no number; then the first worker dies with the other four."""
    here = {"pid": os.getpid(), "together": len(requests)}
    yield [Report(request.number, 1, {"bits_per_byte": 9.0}, attributes=here) for request in requests]
    first = requests[0].storage / "first"
    if not first.exists():
        first.touch()
        yield [TrialFailed(1, "the loss is 1e9"), Report(2, 2, {"bits_per_byte": float("nan")})]
        yield [Report(number, 3, {"bits_per_byte": float(number)}, finished=True, attributes=here) for number in (0, 3)]
        yield [Report(number, 4, {"bits_per_byte": 9.0}, finished=True) for number in (0, 1, 2, 3)]
        os.kill(os.getpid(), signal.SIGKILL)
    yield [
        Report(request.number, 4, {"bits_per_byte": float(request.number)}, finished=True, attributes=here)
        for request in requests
    ]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Eight trials in one program, whose worker dies when half of them have ended."""
    inner = {"seed": tuple(range(8))}
    folder = tmp_path_factory.mktemp("stack")
    return run(make_problem(folder, 8, inner, resources=Resources(stack=8)), stacked)


def test_a_worker_that_dies_with_half_a_stack_ended_costs_the_other_half_an_attempt(stack):
    assert Counter(event.number for event in of(stack, *ENDS)) == dict.fromkeys(range(8), 1)
    assert Counter(event.number for event in of(stack, TrialStarted)) == {n: 1 if n < 4 else 2 for n in range(8)}
    assert [event.number for event in of(stack, AttemptLost)] == [4, 5, 6, 7]
    lost = stack.index(of(stack, AttemptLost)[0])
    assert {event.number for event in of(stack[:lost], *ENDS)} == {0, 1, 2, 3}


def test_each_trial_of_a_stack_ends_as_if_it_ran_alone(stack):
    ends = {event.number: event for event in of(stack, *ENDS)}
    assert ends[1] == TrialFailed(1, "the loss is 1e9")
    assert ends[2] == TrialFailed(2, "bits_per_byte is nan at step 2")
    completed = {event.number: event for event in of(stack, TrialCompleted)}
    assert {number: event.metrics["bits_per_byte"] for number, event in completed.items()} == {
        number: float(number) for number in (0, 3, 4, 5, 6, 7)
    }
    assert {number: event.attributes["stack"] for number, event in completed.items()} == {
        number: event.attributes["together"] for number, event in completed.items()
    }
    assert completed[0].attributes["stack"] == 8
    assert completed[7].attributes["stack"] == 4
    steps = [event.step for event in of(stack, TrialProgress) if event.number == 3]
    assert steps == [1, 3]


def fits_alone(requests):
    """What a stack too large for a GPU does."""
    if len(requests) > 1:
        raise RuntimeError("out of memory")
    yield [Report(request.number, 1, {"bits_per_byte": 1.0}, finished=True) for request in requests]


def test_no_trial_fails_because_of_the_others_of_its_stack(problem):
    events = run(problem(count=3, inner={"seed": (0, 1, 2)}, resources=Resources(stack=3)), fits_alone)
    assert {event.number: event.attributes["stack"] for event in of(events, TrialCompleted)} == {0: 1, 1: 1, 2: 1}
    lost = of(events, AttemptLost)
    assert Counter(event.number for event in lost) == dict.fromkeys(range(3), MAX_LOST_WORKERS - 1)
    assert all("out of memory" in event.reason for event in lost)


def what_is_seen(requests):
    """Waits until as many trials run as share the GPU."""
    (request,) = requests
    (request.storage / f"runs-{request.number}").touch()
    deadline = time.monotonic() + 120
    while len(list(request.storage.glob("runs-*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    visible, waiting = os.environ.get("CUDA_VISIBLE_DEVICES", "all"), os.environ.get("OMP_WAIT_POLICY", "spinning")
    seen = {"visible": visible, "share": request.gpu_share, "waiting": waiting}
    yield [Report(request.number, 1, {"bits_per_byte": 1.0}, finished=True, attributes=seen)]


@pytest.mark.parametrize(("gpu", "visible", "share"), [(0.5, "0", 0.5), (0, "", 1.0)])
def test_trials_share_a_gpu_or_see_none(problem, tmp_path, gpu, visible, share):
    events = run(problem(count=2, resources=Resources(cpu=0.5, gpu=gpu)), what_is_seen)
    seen = [event.attributes for event in of(events, TrialCompleted)]
    assert [(one["visible"], one["share"], one["waiting"]) for one in seen] == [(visible, share, "PASSIVE")] * 2
    assert len(list(tmp_path.glob("runs-*"))) == 2


def test_trials_ordered_while_the_last_one_runs_are_run(problem):
    events = []
    look = lambda: Orders(3 if len(of(events, TrialStarted)) == 2 else 2)  # noqa: E731
    run_search(problem(count=2, parallel_trial_count=1), [], events.append, lambda: False, one_report, look=look)
    assert [event.number for event in of(events, TrialCompleted)] == [0, 1, 2]


def test_an_observer_may_hold_what_cannot_be_pickled(problem):
    lock, numbers = threading.Lock(), []

    def observer(event):
        with lock:
            numbers.append(event.number)

    run_search(problem(count=1), [], observer, lambda: lock.locked(), one_report)
    assert numbers == [0, 0, 0]


def test_an_exception_of_the_observer_stops_the_search_and_is_raised(problem):
    events = []

    def observer(event):
        events.append(event)
        if len(of(events, TrialCompleted)) == 3:
            raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="the lease is lost"):
        run_search(problem(count=500), [], observer, lambda: False, one_report)
    assert len(of(events, TrialCompleted)) == 3
    assert isinstance(events[-1], TrialCompleted)


def slow(requests):
    (request,) = requests
    closed = request.storage / f"closed-{request.number}"
    try:
        for step in range(1, 200):
            time.sleep(0.05)
            yield [Report(request.number, step, {"bits_per_byte": 1.0}, finished=step == 199)]
    finally:
        closed.touch()


def test_should_stop_abandons_running_trials_without_an_end(problem, tmp_path):
    events = []
    run_search(
        problem(), [], events.append, lambda: len({event.number for event in of(events, TrialProgress)}) == 2, slow
    )
    assert {event.number for event in of(events, TrialStarted)} == {0, 1}
    assert not of(events, *ENDS, AttemptLost)
    assert {path.name for path in tmp_path.iterdir()} == {"closed-0", "closed-1"}


def curve(requests):
    (request,) = requests
    for step in range(1, 9):
        value = request.parameters["learning_rate"] + 1 / step
        yield [
            Report(request.number, 10 * step, {"bits_per_byte": value}, finished=step == 8, attributes={"steps": step})
        ]


def test_successive_halving_prunes_and_keeps_the_metrics(problem):
    scheduler = SchedulerSpec(kind="asha", reduction_factor=2, grace_evaluations=2)
    events = run(problem(count=24, scheduler=scheduler), curve)
    pruned, completed = of(events, TrialPruned), of(events, TrialCompleted)
    assert len(pruned) + len(completed) == 24
    assert len(pruned) >= 8
    assert all(event.attributes["steps"] in (2, 4) and "bits_per_byte" in event.metrics for event in pruned)
    assert all(event.reason.startswith(f"rung {event.attributes['steps'] // 2} ") for event in pruned)
    assert all(event.attributes["steps"] == 8 for event in completed)
    steps = {event.number: event.step for event in of(events, TrialProgress)}
    assert all(steps[event.number] == 10 * event.attributes["steps"] for event in pruned)


def test_successive_halving_remembers_the_trials_of_an_earlier_run(problem):
    good = [
        PastTrial(number, {"learning_rate": 0.001}, {}, "COMPLETE", (0.0,), evaluations=(0.0,) * 8)
        for number in range(4)
    ]
    scheduler = SchedulerSpec(kind="asha", reduction_factor=2, grace_evaluations=2)
    events = run(problem(count=6, scheduler=scheduler), curve, good)
    assert {event.number for event in of(events, TrialPruned)} == {4, 5}


def annealed(requests):
    """Reports at the evaluations that the settings ask for."""
    (request,) = requests
    made = evaluation_numbers(request.settings.evaluations, request.settings.annealed_evaluations)
    rate = request.parameters["learning_rate"]
    for number in made:
        value = 3 + 10 * rate + 0.3 * ((number / made[-1]) ** -0.4 - 1)
        cost = {"annealed_tokens": number}
        yield [Report(request.number, 10 * number, {"bits_per_byte": value}, number == made[-1], attributes=cost)]


def stopping(problem, scheduler, evaluations, numbers, **changes):
    made = problem(scheduler=scheduler, **changes)
    settings = {"evaluations": evaluations, "schedule": "wsd", "annealed_evaluations": numbers}
    changed = made.space.settings.model_copy(update=settings)
    return replace(made, space=replace(made.space, settings=changed))


def test_hyperband_stops_each_trial_at_a_rung_of_its_bracket(problem):
    scheduler = SchedulerSpec(kind="hyperband", reduction_factor=2)
    made = stopping(problem, scheduler, 8, (1, 2, 4), count=30)
    events = run(made, annealed)
    rule = Hyperband(8, 2, 1, made.sampler.seed)
    pruned = of(events, TrialPruned)
    assert len(pruned) + len(of(events, TrialCompleted)) == 30
    assert len({rule.bracket(event.number) for event in pruned}) > 1
    for event in pruned:
        evaluation = event.attributes["annealed_tokens"]
        assert evaluation in (1, 2, 4)[rule.bracket(event.number) :]
        assert f"(evaluation {evaluation} of 8)" in event.reason
        assert "not among the best 1/2" in event.reason


def test_curve_stops_trials_that_cannot_win(problem):
    made = stopping(problem, SchedulerSpec(kind="curve"), 16, (1, 2, 4, 8), count=20)
    events = run(made, annealed)
    started = {event.number: event.parameters["learning_rate"] for event in of(events, TrialStarted)}
    pruned, completed = of(events, TrialPruned), of(events, TrialCompleted)
    assert len(pruned) + len(completed) == 20
    assert len(pruned) >= 6
    assert all("a chance of" in event.reason for event in pruned)
    best = min(started, key=started.__getitem__)
    assert best in {event.number for event in completed}


def test_replicates_are_never_stopped(problem):
    """They are of a mean over seeds, which needs all of them whole."""
    good = [PastTrial(number, {"learning_rate": 0.001}, {}, "COMPLETE", (3.0,), (3.0,) * 8) for number in range(4)]
    made = problem(count=6, scheduler=SchedulerSpec(kind="asha", reduction_factor=2), seeds=Seeds(count=2, leaders=1))
    events = run(made, curve, good)
    assert {event.number for event in of(events, TrialCompleted)} == {4, 5}


def test_a_search_goes_on_from_its_rows(problem):
    made = problem(count=10, sampler=SamplerSpec(kind="tpe"))
    first = []
    run_search(made, [], first.append, lambda: len(of(first, TrialCompleted)) >= 5, one_report)
    done = {event.number: event for event in of(first, TrialCompleted)}
    history = [
        PastTrial(
            event.number,
            event.parameters,
            event.attributes,
            "COMPLETE" if event.number in done else "RUNNING",
            (done[event.number].metrics["bits_per_byte"],) if event.number in done else None,
        )
        for event in of(first, TrialStarted)
    ]
    second = run(made, one_report, history)
    assert {event.number for event in of(second, TrialCompleted)} == set(range(10)) - set(done)
    again = {event.number: event.parameters for event in of(second, TrialStarted)}
    for trial in history:
        if trial.state == "RUNNING":
            assert again[trial.number] == trial.parameters


def test_a_finished_search_starts_nothing(problem):
    history = [PastTrial(number, {"learning_rate": 0.01}, {}, "FAIL", None) for number in range(6)]
    assert run(problem(), one_report, history) == []


@pytest.mark.parametrize(
    ("resources", "field"),
    [(Resources(cpu=64), "resources_per_trial.cpu"), (Resources(gpu=8), "resources_per_trial.gpu")],
)
def test_a_trial_that_fits_no_node_is_refused(problem, resources, field):
    with pytest.raises(InvalidInput) as caught:
        run(problem(resources=resources), one_report)
    assert caught.value.field == field


SCRIPT = """
import os, signal, sys
from pathlib import Path
from search.problem import *
from search.constraints import Constraints
from search.space import Space
from search.tune import run_search
from trainer.config import ProxySettings

def objective(requests):
    import torch, search.space, studies
    yield [Report(request.number, 1, {"bits_per_byte": 1.0}, finished=True) for request in requests]

def observe(event):
    kind = type(event).__name__
    print(event.number, kind, getattr(event, "reason", ""), flush=True)
    if sys.argv[1] == "interrupt" and kind == "TrialStarted":
        os.kill(os.getpid(), signal.SIGINT)

space = Space.build({}, {"seed": (0, 1)}, Constraints(), ProxySettings(train_bytes=1000))
problem = SearchProblem("study-1", space, (Objective(metric="bits_per_byte"),), SamplerSpec(), SchedulerSpec(), 5, 1,
                        Resources(), Path("storage").absolute())
try:
    run_search(problem, [], observe, lambda: False, objective)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("mode", "printed"),
    [
        ("whole", [f"{number} Trial{what}" for number in (0, 1) for what in ("Started", "Progress", "Completed")]),
        ("interrupt", ["0 TrialStarted", "interrupted"]),
    ],
)
@pytest.mark.slow
def test_a_driver_in_another_directory_prints_only_its_own_lines(tmp_path, mode, printed):
    script = tmp_path / "driver.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, "driver.py", mode],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "RAY_ADDRESS": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert [line.strip() for line in done.stdout.splitlines()] == printed, done.stderr
    assert done.stderr == ""
    assert done.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} <= {"driver.py", "storage", ".cache", ".ray"}, "a token is fine"
    assert not list(tmp_path.glob(".ray/*results*"))
    assert list(Path(tmp_path / "storage").iterdir()) == []
