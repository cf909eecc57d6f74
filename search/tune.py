"""The Ray Tune room: a plan's trials run on reused actors, and what they say becomes events.

Tune decides when and where a trial runs; :class:`search.plan.Plan` decides which. Nothing of Tune's own state is kept:
the observers' rows are the only truth, and a search goes on from them.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from search.cluster import check_resources, connection, quiet_environment, quiet_logs
from search.events import (
    AttemptLost,
    Observer,
    TrialCompleted,
    TrialEvent,
    TrialFailed,
    TrialInfeasible,
    TrialProgress,
    TrialPruned,
    TrialStarted,
)
from search.plan import MAX_LOST_WORKERS, Plan
from search.problem import ObjectiveFunction, PastTrial, Report, SearchProblem
from search.schedulers import build_scheduler
from search.slot import FAILURE, INFEASIBLE, OBJECTIVE, REPORT, train_proxy, trainable_class


def run_search(
    problem: SearchProblem,
    history: Sequence[PastTrial],
    observer: Observer,
    should_stop: Callable[[], bool],
    objective: ObjectiveFunction = train_proxy,
    ray_address: str | None = None,
) -> None:
    """Run a search until every trial has ended. One process at a time may run a study's.

    Args:
        problem: what to search.
        history: the trials of earlier runs; unfinished ones run again under their numbers, with their parameters.
        observer: told every event, in order, from this thread. An exception of it stops the search and is raised.
        should_stop: asked several times a second; when it is true, running trials are abandoned without an event.
        objective: runs one trial, in a Ray worker; by default, training the proxy (``search.objective``).
        ray_address: a running cluster; when left out, a Ray of this machine is started, and stopped at the end.
            A connection that the process already has is used, and kept.

    Raises:
        InvalidInput: the grid is infinite, no node has the resources of a trial, or the address does not answer.
        KeyboardInterrupt: the search was interrupted; running trials are abandoned without an event.
    """
    _remove_leftovers(problem)
    plan = Plan(problem, history)
    if plan.finished:
        return
    relay = EventRelay(problem, plan, observer, should_stop)
    with ExitStack() as stack:
        stack.enter_context(quiet_environment())
        stack.enter_context(quiet_logs())
        stack.enter_context(connection(ray_address))
        check_resources(problem.resources)
        problem.storage.mkdir(parents=True, exist_ok=True)
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=_prefix(problem), dir=problem.storage, ignore_cleanup_errors=True)
        )
        tuner = _tuner(problem, history, plan, relay, objective, folder)
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
    history: Sequence[PastTrial],
    plan: Plan,
    relay: "EventRelay",
    objective: ObjectiveFunction,
    folder: str,
) -> tune.Tuner:
    return tune.Tuner(
        trainable_class(problem, objective, Path(folder)),
        tune_config=tune.TuneConfig(
            search_alg=PlanSearcher(plan),
            scheduler=build_scheduler(problem, history),
            num_samples=-1,
            max_concurrent_trials=problem.parallel_trial_count,
            reuse_actors=True,
            trial_name_creator=lambda trial: f"{problem.study}-{trial.config['number']}",
            trial_dirname_creator=lambda trial: f"{trial.config['number']}-{trial.trial_id}",
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


class _Unsaved:
    """Part of the driver that holds live objects; Tune pickles its settings to restore a run, which is never done."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class PlanSearcher(_Unsaved, Searcher):
    """Hands the plan's trials to Tune; results reach the plan through :class:`EventRelay`."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def suggest(self, trial_id: str) -> Any:
        """The next trial's config; None while the end of a running one decides whether there is another."""
        trial = self._plan.start_next()
        if trial is None:
            return Searcher.FINISHED if self._plan.finished else None
        return {
            "number": trial.number,
            "parameters": dict(trial.parameters),
            "attributes": dict(trial.attributes),
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing to do: :class:`EventRelay` tells the plan."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the rows are the only truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""


class EventRelay(_Unsaved, tune.Callback):
    """Turns what Tune says about trials into events, for the plan and for the observer."""

    def __init__(self, problem: SearchProblem, plan: Plan, observer: Observer, should_stop: Callable[[], bool]) -> None:
        self._metric = problem.objective.metric
        self._plan = plan
        self._observer = observer
        self._should_stop = should_stop
        self._started: set[int] = set()
        """Numbers whose present attempt has begun."""
        self.stopped = False
        self.error: Exception | None = None
        """The first exception of the observer or of ``should_stop``: Tune would swallow it, so it is kept."""

    def asked_to_stop(self) -> bool:
        """Whether the search is to end now."""
        if not self.stopped:
            self.stopped = self._guarded(self._should_stop) is True or self.error is not None
        return self.stopped

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """An attempt begins."""
        config = trial.config
        self._started.add(config["number"])
        self._tell(TrialStarted(config["number"], config["parameters"], config["attributes"]))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An evaluation, or the reason why there is none."""
        report: Report | None = result.get(REPORT)
        if report is not None:
            self._tell(TrialProgress(trial.config["number"], report.step, report.values))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial ended, by itself or by the scheduler."""
        event, value = _end(trial.config, trial.last_result)
        self._started.discard(event.number)
        self._plan.end(event.number, value)
        self._tell(event)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The worker died, or something outside the trial failed."""
        number, reason = trial.config["number"], _last_line(Path(trial.error_file))
        if number not in self._started:  # its slot died before it began
            self.on_trial_start(iteration, trials, trial)
        self._started.remove(number)
        if self._plan.lose(number):
            self._tell(AttemptLost(number, reason))
        else:
            self._tell(TrialFailed(number, f"lost {MAX_LOST_WORKERS} workers; the last one: {reason}"))

    def _tell(self, event: TrialEvent) -> None:
        if self.error is None:
            self._guarded(lambda: self._observer(event))

    def _guarded(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 (raised again by run_search, once Tune has stopped the trials)
            self.error = error
            return None


class RelayStopper(_Unsaved, tune.Stopper):
    """Ends the whole search when the relay is asked to; never a single trial."""

    def __init__(self, relay: EventRelay) -> None:
        self._relay = relay

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Single trials are the scheduler's."""
        return False

    def stop_all(self) -> bool:
        """Whether the search is to end now."""
        return self._relay.asked_to_stop()


def _end(config: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[TrialEvent, float | None]:
    """How a trial ended, from its last result, and its value if it has one."""
    number = config["number"]
    if FAILURE in result:
        return TrialFailed(number, result[FAILURE]), None
    if INFEASIBLE in result:
        return TrialInfeasible(number, result[INFEASIBLE]), None
    report: Report = result[REPORT]
    event = TrialCompleted if report.finished else TrialPruned
    attributes = {**config["attributes"], **report.attributes}
    return event(number, {**report.values, **report.metrics}, attributes), result.get(OBJECTIVE)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n") if path.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "the worker process died")
