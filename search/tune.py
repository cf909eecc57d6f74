"""The Ray Tune room: a plan's groups of trials run on reused actors, and what they say becomes events.

Tune decides when and where a group runs as one program, which is what it calls a trial; :class:`search.plan.Plan`
decides which trials these are. Nothing of Tune's own state is kept: the observers' rows are the only truth, and a
search goes on from them.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ray import tune
from ray.tune.experiment import Trial

from search.cluster import check_resources, connection, quiet_environment, quiet_logs
from search.events import (
    AttemptLost,
    Observer,
    TrialCompleted,
    TrialEvent,
    TrialFailed,
    TrialProgress,
    TrialPruned,
    TrialStarted,
    Value,
)
from search.orders import Look
from search.plan import MAX_LOST_WORKERS, Plan
from search.problem import ObjectiveFunction, Outcome, PastTrial, Report, SearchProblem
from search.programs import Programs, Unsaved
from search.schedulers import RuleScheduler
from search.slot import OUTCOMES, objective_values, train_proxies, trainable_class
from search.stopping.past import at_full_length, informed_rule, made_evaluations


def run_search(
    problem: SearchProblem,
    history: Sequence[PastTrial],
    observer: Observer,
    should_stop: Callable[[], bool],
    objective: ObjectiveFunction = train_proxies,
    ray_address: str | None = None,
    look: Look | None = None,
) -> None:
    """Run a search until every trial has ended. One process at a time may run a study's.

    Args:
        problem: what to search.
        history: the trials of earlier runs; unfinished ones run again under their numbers, with their parameters.
        observer: told every event, in order, from this thread. An exception of it stops the search and is raised.
        should_stop: asked several times a second; when it is true, running trials are abandoned without an event.
        objective: runs a group of trials, in a Ray worker; by default, training proxies (``search.objective``).
        ray_address: a running cluster; when left out, a Ray of this machine is started, and stopped at the end.
            A connection that the process already has is used, and kept.
        look: reads what is asked of the search while it runs; by default nothing is.

    Raises:
        InvalidInput: the grid is infinite, no node has the resources of a trial, or the address does not answer.
        KeyboardInterrupt: the search was interrupted; running trials are abandoned without an event.
    """
    _remove_leftovers(problem)
    rule = informed_rule(problem, history)
    plan = Plan(problem, at_full_length(history, rule), look)
    if plan.finished:
        return
    scheduler = RuleScheduler(rule, made_evaluations(problem))
    relay = EventRelay(problem, plan, scheduler, observer, should_stop)
    with ExitStack() as stack:
        stack.enter_context(quiet_environment(problem.parallel_trial_count))
        stack.enter_context(quiet_logs())
        stack.enter_context(connection(ray_address))
        check_resources(problem.resources)
        problem.storage.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=_prefix(problem), dir=problem.storage, ignore_cleanup_errors=True)
        )
        tuner = _tuner(problem, plan, scheduler, relay, objective, folder)
        try:
            tuner.fit()
        finally:
            if relay.error is not None:
                raise relay.error
    if not plan.finished and not relay.stopped:
        raise KeyboardInterrupt


def _prefix(problem: SearchProblem) -> str:
    """What the names of this study's folders for Tune begin with, and those of no other study."""
    return f"tune-{problem.study}-"


def _remove_leftovers(problem: SearchProblem) -> None:
    """Remove the folders that killed drivers of this study left; who drives it now is the only one."""
    for folder in problem.storage.glob(f"{_prefix(problem)}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _tuner(
    problem: SearchProblem,
    plan: Plan,
    scheduler: RuleScheduler,
    relay: "EventRelay",
    objective: ObjectiveFunction,
    folder: str,
) -> tune.Tuner:
    slot = trainable_class(problem, objective, Path(folder))
    return tune.Tuner(
        slot,
        tune_config=tune.TuneConfig(
            search_alg=Programs(problem, plan, slot),
            scheduler=scheduler,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=problem.study,
            storage_path=folder,
            callbacks=[relay],
            stop=RelayStopper(relay),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )


class EventRelay(Unsaved, tune.Callback):
    """Turns what Tune says about groups into events of their trials, for the plan and for the observer.

    A trial ends as soon as it says so, whatever becomes of the others of its program.
    """

    def __init__(
        self,
        problem: SearchProblem,
        plan: Plan,
        scheduler: RuleScheduler,
        observer: Observer,
        should_stop: Callable[[], bool],
    ) -> None:
        self._metrics = problem.metrics
        self._plan = plan
        self._scheduler = scheduler
        self._observer = observer
        self._should_stop = should_stop
        self._groups: dict[str, dict[int, _Attempt]] = {}
        """By Tune's identifier: the groups that have begun, and those of their trials that have not ended."""
        self.stopped = False
        self.error: Exception | None = None
        """The first exception of the observer or of ``should_stop``: Tune would swallow it, so it is kept."""

    def asked_to_stop(self) -> bool:
        """Whether the search is to end now."""
        if not self.stopped:
            self.stopped = self._guarded(self._should_stop) is True or self.error is not None
        return self.stopped

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """An attempt begins, at each trial of the group."""
        members = trial.config["trials"]
        self._groups[trial.trial_id] = {member["number"]: _Attempt.of(member) for member in members}
        for member in members:
            self._tell(TrialStarted(**member))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """What trials of the group told at a step."""
        running = self._groups[trial.trial_id]
        for outcome in result.get(OUTCOMES, ()):
            self._take(outcome, running)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The group ended; a trial that did not say so was stopped by the scheduler."""
        for number, attempt in self._groups.pop(trial.trial_id).items():
            self._plan.end(number, (self._scheduler.expected_final(number),), pruned=True)
            self._tell(TrialPruned(number, *attempt.told, self._scheduler.reasons[number]))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The worker died, or something outside the trials failed: those that had not ended lose their attempt."""
        reason = _last_line(Path(trial.error_file))
        if trial.trial_id not in self._groups:  # its slot died before it began
            self.on_trial_start(iteration, trials, trial)
        for number in self._groups.pop(trial.trial_id):
            if self._plan.lose(number):
                self._tell(AttemptLost(number, reason))
            else:
                self._tell(TrialFailed(number, f"lost {MAX_LOST_WORKERS} workers; the last one: {reason}"))

    def _take(self, outcome: Outcome, running: dict[int, "_Attempt"]) -> None:
        """Tell what a trial told; one that has ended is no longer running."""
        number = outcome.number
        if not isinstance(outcome, Report):
            del running[number]
            self._plan.end(number, None)
            self._tell(outcome)
            return
        running[number].latest = outcome
        self._tell(TrialProgress(number, outcome.step, outcome.values, outcome.losses))
        if outcome.finished:
            self._plan.end(number, objective_values(outcome, self._metrics))
            self._tell(TrialCompleted(number, *running.pop(number).told))

    def _tell(self, event: TrialEvent) -> None:
        if self.error is None:
            self._guarded(lambda: self._observer(event))

    def _guarded(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 (raised again by run_search, once Tune has stopped the trials)
            self.error = error
            return None


@dataclass
class _Attempt:
    """A trial that runs."""

    attributes: Mapping[str, Value]
    latest: Report
    """Of nothing, before its first one."""

    @classmethod
    def of(cls, member: Mapping[str, Any]) -> Self:
        """The beginning of an attempt."""
        return cls(member["attributes"], Report(member["number"], step=0, values={}))

    @property
    def told(self) -> tuple[Mapping[str, float], Mapping[str, Value]]:
        """Metrics and attributes, as told last."""
        report = self.latest
        return {**report.values, **report.metrics}, {**self.attributes, **report.attributes}


class RelayStopper(Unsaved, tune.Stopper):
    """Ends the whole search when the relay is asked to; never a single trial."""

    def __init__(self, relay: EventRelay) -> None:
        self._relay = relay

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Single trials are the scheduler's."""
        return False

    def stop_all(self) -> bool:
        """Whether the search is to end now."""
        return self._relay.asked_to_stop()


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "the worker process died")
