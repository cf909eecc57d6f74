"""The slot: an actor that runs programs one after the other. It is what Ray's workers import, so it imports little."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock, Timeout
from ray import tune

from search.events import TrialFailed, TrialInfeasible
from search.problem import ObjectiveFunction, Outcome, Report, SearchProblem, TrialImpossible, TrialRequest, Values
from search.settings import Resources
from search.telemetry import SlotTelemetry

OUTCOMES = "outcomes"
"""Key of a result: what the trials of the program told at one step."""
EVALUATION = "evaluation"
"""Key of a result's evaluation index, counted from 1: the time that rungs are placed on."""
OBJECTIVE = "objective"
"""Key of a result's objective."""


def train_proxies(requests: Sequence[TrialRequest]) -> Iterator[Sequence[Outcome]]:
    """Train the proxies (``search.objective``); torch is loaded in the worker that does it, not in the driver."""
    from search import objective

    return objective.train_proxies(requests)


class ProxyTrial(tune.Trainable):
    """A slot: an actor that runs one program after the other. Each step of Tune's is one step at which trials tell.

    What Tune takes for a trial is a program: the trials of one group of the plan.
    """

    study: ClassVar[str]
    template: ClassVar[Mapping[str, Any]]
    """What every :class:`TrialRequest` of the study shares."""
    metrics: ClassVar[tuple[str, ...]]
    """Of the objectives; what is compared and shown is the first one."""
    resources: ClassVar[Resources]
    objective: ClassVar[ObjectiveFunction]
    folder: ClassVar[Path]
    """Where the actors of this run of the search hold their numbers, the same on every machine."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first program on."""
        prepare_process(self.resources)
        self._slot, self._lock = take_number(self.folder)
        self._telemetry = SlotTelemetry(self.study, self._slot, self.metrics[0])
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next program on, in the same process."""
        self._let_go("stopped")
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Run to the next step at which a trial tells something.

        Raises:
            Exception: something outside the trials failed, or a stack did, which says nothing of any one of its
                trials; Tune ends the actor and their attempts are lost.
        """
        told = []
        for outcome in self._next_outcomes():
            if outcome.number in self._running:  # a trial that has ended tells nothing more
                told.append(self._checked(outcome))
                self._show(told[-1])
        self._evaluation += 1
        self._telemetry.running(self._running)
        if not self._running:
            self._close()
        return {OUTCOMES: told, EVALUATION: self._evaluation, "done": not self._running, **self._compared(told)}

    def cleanup(self) -> None:
        """Stop the trials that run."""
        self._let_go("stopped")
        self._lock.release()

    def __repr__(self) -> str:
        return f"{self.study}/slot-{self._slot}"

    def _begin(self, config: dict[str, Any]) -> None:
        requests = [TrialRequest(**trial, **self.template) for trial in config["trials"]]
        self._running = {request.number for request in requests}
        self._stacked = len(requests) > 1
        self._evaluation = 0
        for request in requests:
            self._telemetry.started(request.number, request.parameters)
        self._telemetry.running(self._running)
        self._steps = iter(type(self).objective(requests))

    def _next_outcomes(self) -> Sequence[Outcome]:
        """What trials tell at the next step; why they end, where the program ends before them."""
        try:
            return next(self._steps)
        except TrialImpossible as error:
            return [TrialInfeasible(number, str(error)) for number in sorted(self._running)]
        except StopIteration:
            reason = "the run ended without its last report"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            if self._stacked or isinstance(error, OSError):
                self._let_go(f"its attempt is lost: {reason}")
                raise
        return [TrialFailed(number, reason) for number in sorted(self._running)]

    def _checked(self, outcome: Outcome) -> Outcome:
        """The outcome, or the failure that it amounts to."""
        if not isinstance(outcome, Report):
            return outcome
        told = {**outcome.values, **outcome.metrics}
        for metric in self.metrics:
            value = told.get(metric)
            if outcome.finished and value is None:
                return TrialFailed(outcome.number, f"the run did not report {metric}")
            if value is not None and not math.isfinite(value):
                return TrialFailed(outcome.number, f"{metric} is {value} at step {outcome.step}")
        return outcome

    def _show(self, outcome: Outcome) -> None:
        """Show what a trial told, and let go of one that has ended."""
        if isinstance(outcome, Report):
            self._telemetry.evaluated(outcome.number, outcome.step, self._value(outcome))
            if not outcome.finished:
                return
        self._running.remove(outcome.number)
        self._telemetry.ended(outcome.number, self._in_words(outcome))

    def _in_words(self, outcome: Outcome) -> str:
        """The end of a trial."""
        if isinstance(outcome, Report):
            return f"{self.metrics[0]} {self._value(outcome):.6g} at step {outcome.step}"
        return outcome.reason if isinstance(outcome, TrialFailed) else f"infeasible: {outcome.reason}"

    def _value(self, report: Report) -> float | None:
        values = objective_values(report, self.metrics[:1])
        return None if values is None else values[0]

    def _compared(self, told: Sequence[Outcome]) -> dict[str, float]:
        """What a scheduler compares: the objective of a program's only trial, since it is given no stacks."""
        value = self._value(told[-1]) if told and isinstance(told[-1], Report) else None
        return {} if value is None else {OBJECTIVE: value}

    def _let_go(self, why: str) -> None:
        """Let go of the trials that still run."""
        for number in sorted(self._running):
            self._telemetry.ended(number, why)
        self._running.clear()
        self._close()

    def _close(self) -> None:
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()


def objective_values(report: Report, metrics: Sequence[str]) -> Values | None:
    """The objectives in a report, if it has all of them yet: those of the whole run before those of the step."""
    told = {**report.values, **report.metrics}
    values = tuple(told[metric] for metric in metrics if metric in told)
    return values if len(values) == len(metrics) else None


def prepare_process(resources: Resources) -> None:
    """Set what torch reads when it is loaded, so that a slot leaves to others what it did not ask for.

    GPUs that no trial asked for are hidden; Ray shows them all (measured). OpenMP's threads sleep while they wait for
    each other: one that spins keeps the core from the thread it waits for as soon as anything else runs (measured on a
    busy machine: a run of two threads is 6 to 15 times slower). ``OMP_WAIT_POLICY`` of the environment is kept.
    """
    if not resources.gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def take_number(folder: Path) -> tuple[int, FileLock]:
    """The lowest number that no living actor holds, and the lock that holds it.

    Tune hands a trial to any actor that is idle, whatever it was suggested for: only the actor itself can know which
    it is. The system lets go of the lock when its process dies.
    """
    number = 0
    while True:
        lock = FileLock(folder / f"slot-{number}.lock", timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            number += 1
        else:
            return number, lock


def trainable_class(problem: SearchProblem, objective: ObjectiveFunction, folder: Path) -> type[ProxyTrial]:
    """The trainable of one run of a search; Ray sends it to its workers once."""
    members = {
        "study": problem.study,
        "template": {
            "settings": problem.space.settings,
            "storage": problem.storage,
            "threads": problem.resources.threads,
            "gpu_share": problem.resources.gpu_share,
        },
        "metrics": problem.metrics,
        "resources": problem.resources,
        "objective": staticmethod(objective),
        "folder": folder,
    }
    return type("ProxyTrial", (ProxyTrial,), members)
