"""The slot: an actor that runs trials one after the other. It is what Ray's workers import, so it imports little."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from filelock import FileLock, Timeout
from ray import tune

from search.problem import ObjectiveFunction, Report, Resources, SearchProblem, TrialImpossible, TrialRequest
from search.telemetry import SlotTelemetry

REPORT, FAILURE, INFEASIBLE = "report", "failure", "infeasible"
"""Keys of a result: the trial's own report, or why there is none."""
EVALUATION = "evaluation"
"""Key of a result's evaluation index, counted from 1: the time that rungs are placed on."""
OBJECTIVE = "objective"
"""Key of a result's objective."""


def train_proxy(request: TrialRequest) -> Iterator[Report]:
    """Train the proxy (``search.objective``); torch is loaded in the worker that does it, not in the driver."""
    from search import objective

    return objective.train_proxy(request)


class ProxyTrial(tune.Trainable):
    """A slot: an actor that runs one trial after the other. Each step of Tune's is one evaluation."""

    study: ClassVar[str]
    template: ClassVar[Mapping[str, Any]]
    """What every :class:`TrialRequest` of the study shares."""
    metric: ClassVar[str]
    resources: ClassVar[Resources]
    objective: ClassVar[ObjectiveFunction]
    folder: ClassVar[Path]
    """Where the actors of this run of the search hold their numbers, the same on every machine."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """One bundle with the trial's CPUs and GPUs."""
        bundle = {"CPU": cls.resources.cpu, "GPU": cls.resources.gpu}
        return tune.PlacementGroupFactory([{name: amount for name, amount in bundle.items() if amount}])

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first trial on."""
        self._slot, self._lock = take_number(self.folder)
        self._telemetry = SlotTelemetry(self.study, self._slot, self.metric)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial on, in the same process."""
        self._end("stopped")
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Run to the next evaluation.

        Raises:
            OSError: something outside the trial failed; Tune ends the actor and the attempt is lost.
        """
        try:
            result = self._evaluated(next(self._reports))
        except TrialImpossible as error:
            result = {INFEASIBLE: str(error), "done": True}
        except OSError as error:
            self._end(f"its attempt is lost: {error}")
            raise
        except StopIteration:
            result = {FAILURE: "the run ended without its last report", "done": True}
        except Exception as error:  # noqa: BLE001 (whatever a trial raises is its own failure, not the slot's)
            result = {FAILURE: f"{type(error).__name__}: {error}", "done": True}
        if result["done"]:
            self._end(self._outcome(result))
        return result

    def cleanup(self) -> None:
        """Stop the trial that runs."""
        self._end("stopped")
        self._lock.release()

    def __repr__(self) -> str:
        return f"{self.study}/slot-{self._slot}"

    def _begin(self, config: dict[str, Any]) -> None:
        request = TrialRequest(
            number=config["number"], parameters=config["parameters"], attributes=config["attributes"], **self.template
        )
        self._number = request.number
        self._evaluation = 0
        self._telemetry.started(request.number, request.parameters)
        self._reports = iter(type(self).objective(request))
        self._running = True

    def _end(self, outcome: str) -> None:
        """Let go of the trial, unless that has been done."""
        if not self._running:
            return
        self._running = False
        close = getattr(self._reports, "close", None)
        if close is not None:
            close()
        self._telemetry.ended(self._number, outcome)

    def _outcome(self, result: Mapping[str, Any]) -> str:
        """The end of a trial in words."""
        if REPORT in result:
            return f"{self.metric} {result[OBJECTIVE]:.6g} at step {result[REPORT].step}"
        return result.get(FAILURE) or f"infeasible: {result[INFEASIBLE]}"

    def _evaluated(self, report: Report) -> dict[str, Any]:
        self._evaluation += 1
        metrics = {**report.values, **report.metrics}
        value = metrics.get(self.metric)
        if report.finished and value is None:
            return {FAILURE: f"the run did not report {self.metric}", "done": True}
        if value is not None and not math.isfinite(value):
            return {FAILURE: f"{self.metric} is {value} at step {report.step}", "done": True}
        self._telemetry.evaluated(self._number, report.step, value)
        result = {REPORT: report, EVALUATION: self._evaluation, "done": report.finished}
        return result if value is None else {**result, OBJECTIVE: value}


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
        },
        "metric": problem.objective.metric,
        "resources": problem.resources,
        "objective": staticmethod(objective),
        "folder": folder,
    }
    return type("ProxyTrial", (ProxyTrial,), members)
