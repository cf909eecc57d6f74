"""The slot: an actor that runs trials one after the other. It is what Ray's workers import, so it imports little."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ray import tune

from search.problem import ObjectiveFunction, Report, Resources, SearchProblem, TrialImpossible, TrialRequest

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

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """One bundle with the trial's CPUs and GPUs."""
        bundle = {"CPU": cls.resources.cpu, "GPU": cls.resources.gpu}
        return tune.PlacementGroupFactory([{name: amount for name, amount in bundle.items() if amount}])

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first trial on."""
        self._slot = config["slot"]
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial on, in the same process."""
        self._close()
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
        except OSError:
            raise
        except StopIteration:
            result = {FAILURE: "the run ended without its last report", "done": True}
        except Exception as error:  # noqa: BLE001 (whatever a trial raises is its own failure, not the slot's)
            result = {FAILURE: f"{type(error).__name__}: {error}", "done": True}
        if result["done"]:
            self._close()
        return result

    def cleanup(self) -> None:
        """Stop the trial that runs."""
        self._close()

    def __repr__(self) -> str:
        return f"{self.study}/slot-{self._slot}"

    def _begin(self, config: dict[str, Any]) -> None:
        request = TrialRequest(
            number=config["number"], parameters=config["parameters"], attributes=config["attributes"], **self.template
        )
        self._evaluation = 0
        self._reports = iter(type(self).objective(request))

    def _close(self) -> None:
        close = getattr(self._reports, "close", None)
        if close is not None:
            close()

    def _evaluated(self, report: Report) -> dict[str, Any]:
        self._evaluation += 1
        metrics = {**report.values, **report.metrics}
        value = metrics.get(self.metric)
        if report.finished and value is None:
            return {FAILURE: f"the run did not report {self.metric}", "done": True}
        if value is not None and not math.isfinite(value):
            return {FAILURE: f"{self.metric} is {value} at step {report.step}", "done": True}
        result = {REPORT: report, EVALUATION: self._evaluation, "done": report.finished}
        return result if value is None else {**result, OBJECTIVE: value}


def trainable_class(problem: SearchProblem, objective: ObjectiveFunction) -> type[ProxyTrial]:
    """The trainable of one search; Ray sends it to its workers once."""
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
    }
    return type("ProxyTrial", (ProxyTrial,), members)
