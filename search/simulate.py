"""Recorded runs instead of training, simulated time instead of a cluster: what a search would have done, in seconds.

The plan, the samplers and the stopping rules are those of a real search (``search.tune``).
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from search.events import Value
from search.plan import Plan
from search.problem import SearchProblem, Values
from search.recorded import RecordedRun, Recording
from search.stopping import stopping_rule

SimulatedState = Literal["COMPLETE", "PRUNED", "FAIL"]


@dataclass(frozen=True, slots=True)
class SimulatedTrial:
    """A trial that ended."""

    number: int
    parameters: Mapping[str, Value]
    state: SimulatedState
    values: Values | None
    """The objectives at its last evaluation; None when it failed."""
    ended: float
    """Simulated time, in the unit of the recorded costs."""
    spent: float
    """By all trials until then, those that still run included, in the same unit."""


@dataclass(order=True, slots=True)
class _Running:
    """A running trial, ordered by the time of its next evaluation."""

    time: float
    number: int
    parameters: Mapping[str, Value] = field(compare=False)
    run: RecordedRun = field(compare=False)
    started: float = field(compare=False)
    told: int = field(compare=False, default=0)
    """Evaluations so far."""


def simulate(problem: SearchProblem, recording: Recording) -> Iterator[SimulatedTrial]:
    """Search a recording, and yield each trial when it ends; who stops reading stops the search.

    A trial gives what was recorded at its point, or at the nearest point that was recorded. The scheduler reads every
    recorded evaluation; of a trial that it stops, the sampler is told the loss that its end would have had
    (``search.stopping.curves``).

    Args:
        problem: what to search; its space is the recording's, and ``parallel_trial_count`` trials run at once.
        recording: what trials give, and what they cost.
    """
    return _Simulation(problem, recording).trials()


class _Simulation:
    """The state of a search in simulated time."""

    def __init__(self, problem: SearchProblem, recording: Recording) -> None:
        self._recording = recording
        self._slots = problem.parallel_trial_count
        self._sign = 1 if problem.objective.direction == "minimize" else -1
        self._plan = Plan(problem, [])
        last = max((each.number for run in recording.runs for each in run.evaluations), default=1)
        self._rule = stopping_rule(problem.scheduler, last, problem.sampler.seed)
        self._running: list[_Running] = []
        self._now = 0.0
        self._spent_by_ended = 0.0

    def trials(self) -> Iterator[SimulatedTrial]:
        """The trials in the order in which they end."""
        self._fill_slots()
        while self._running:
            earliest = heapq.heappop(self._running)
            self._now = earliest.time
            ended = self._advance(earliest)
            if ended is None:
                heapq.heappush(self._running, earliest)
            else:
                yield ended
                self._fill_slots()

    def _fill_slots(self) -> None:
        while len(self._running) < self._slots:
            group = self._plan.start_next()
            if not group:
                return
            for trial in group:
                run = self._recording.run(trial.parameters)
                running = _Running(self._now + run.cost_of(0), trial.number, trial.parameters, run, self._now)
                heapq.heappush(self._running, running)

    def _advance(self, running: _Running) -> SimulatedTrial | None:
        """Read the evaluation whose time has come; the trial if it ends by it."""
        run = running.run
        if running.told == len(run.evaluations):
            return self._end(running, "FAIL", None)
        evaluation = run.evaluations[running.told]
        running.told, values = running.told + 1, evaluation.values
        reason = self._rule.report(running.number, evaluation.number, self._sign * values[0])
        if running.told == len(run.evaluations) and not run.failed:
            return self._end(running, "COMPLETE", values)
        if reason is not None:
            return self._end(running, "PRUNED", values)
        running.time = running.started + run.cost_of(running.told)
        return None

    def _end(self, running: _Running, state: SimulatedState, values: Values | None) -> SimulatedTrial:
        self._spent_by_ended += self._now - running.started
        spent = self._spent_by_ended + sum(self._now - other.started for other in self._running)
        self._plan.end(running.number, self._told(running, state, values), pruned=state == "PRUNED")
        return SimulatedTrial(running.number, running.parameters, state, values, self._now, spent)

    def _told(self, running: _Running, state: SimulatedState, values: Values | None) -> Values | None:
        """What the sampler learns of a trial."""
        if state != "PRUNED" or values is None:
            return values
        return (self._sign * self._rule.curves.expected_final(running.number), *values[1:])


@dataclass(frozen=True, slots=True)
class Reached:
    """When a search first got to its goal."""

    trials: int
    """Trials that had ended."""
    spent: float
    """By all trials, in the unit of the recorded costs."""


def simulate_until(problem: SearchProblem, recording: Recording, goal: float) -> Reached | None:
    """Search a recording until a trial ends at ``goal`` or better by the first objective; None if none does."""
    sign = 1 if problem.objective.direction == "minimize" else -1
    for count, trial in enumerate(simulate(problem, recording), start=1):
        if trial.state == "COMPLETE" and trial.values is not None and sign * trial.values[0] <= sign * goal:
            return Reached(count, trial.spent)
    return None
