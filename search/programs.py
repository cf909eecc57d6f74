"""Programs: the plan's groups of trials in the form in which Ray Tune runs them.

Tune would build each of its trials from an experiment's settings, ask the cluster's store several times for the class
that runs it, and write its state down when the search ends. None of that is needed here, where all programs run on one
class and the rows are the only truth; together it took most of the driver's time for a short trial (measured).
"""

import time
from collections import deque
from copy import copy
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Experiment, Trial
from ray.tune.search import SearchAlgorithm

from search.plan import Plan
from search.problem import PlannedTrial, SearchProblem
from search.slot import ProxyTrial

FOLDER = "programs"
PATIENCE_S = 30.0
"""How long a program waits for the actor that starts for it while others become free (assumed; a start takes 1 s).

To give it each actor that becomes free would end the one that is starting, and short trials would go on like that for
ever, on one actor (seen). An actor that has not started by then is waiting for resources.
"""


class Unsaved:
    """Part of the driver that holds live objects; Tune pickles its settings to restore a run, which is never done."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Program(Trial):
    """What Tune takes for a trial: one group of the plan's trials, run by one actor."""

    def __init__(self, programs: "Programs", members: list[dict[str, Any]]) -> None:
        super().__init__(
            programs.trainable_name,
            config={"trials": members},
            storage=programs.storage,
            stub=True,  # its class is known here: Tune need not look it up
            trial_name_creator=lambda _: f"{programs.study}-{members[0]['number']}",
        )
        self._programs = programs
        self.created_at = time.monotonic()

    def get_trainable_cls(self) -> type[ProxyTrial]:
        """The class of the slots."""
        return self._programs.slot

    def init_local_path(self) -> None:
        """Share one folder with all programs: all that Tune writes there is the error of the one that just ended."""
        storage: Any = self.storage
        Path(storage.trial_driver_staging_path).mkdir(parents=True, exist_ok=True)

    def create_placement_group_factory(self) -> None:
        """Take what every program of the study asks for; one object, since Tune compares them often."""
        self.placement_group_factory = self._programs.resources  # type: ignore[assignment]  # declared as None

    def set_ray_actor(self, ray_actor: Any) -> None:
        """Take the actor, without asking it for its host and its process, which nothing shows."""
        self.temporary_state.ray_actor = ray_actor

    def get_json_state(self) -> tuple[str, str]:
        """Nothing to save."""
        return "{}", "{}"


class Programs(Unsaved, SearchAlgorithm):
    """Hands the plan's groups to Tune, so many at once; results reach the plan through the observer of events.

    The plan is asked once more after its last trial, for it may have been given further ones meanwhile.
    """

    def __init__(self, problem: SearchProblem, plan: Plan, slot: type[ProxyTrial]) -> None:
        self.study = problem.study
        self.slot = slot
        bundle = {"CPU": problem.resources.cpu, "GPU": problem.resources.gpu}
        self.resources = tune.PlacementGroupFactory([{name: amount for name, amount in bundle.items() if amount}])
        """One bundle with a program's CPUs and GPUs."""
        self._plan = plan
        self._most = problem.parallel_trial_count
        self._live: set[str] = set()
        self._waiting: deque[Program] = deque()
        """In order; those that began since are dropped as they come first."""

    def add_configurations(self, experiments: Experiment | list[Experiment] | dict[str, dict[Any, Any]]) -> None:
        """Learn under which name Tune knows the slots' class, and where it keeps its files: it gives one experiment."""
        assert isinstance(experiments, list)
        (experiment,) = experiments
        self.trainable_name, self.storage = experiment.spec["run"], copy(experiment.spec["storage"])
        self.storage.trial_dir_name = FOLDER

    def next_trial(self) -> Program | None:
        """The next group; None while as many run as may, or while the end of one decides whether there is another."""
        if len(self._live) >= self._most:
            return None
        group = self._plan.start_next()
        if not group:
            self._finished = self._plan.finished
            return None
        program = Program(self, [_member(trial, len(group)) for trial in group])
        self._live.add(program.trial_id)
        self._waiting.append(program)
        return program

    def overdue(self) -> Program | None:
        """The program that waits longest, once that is too long: it takes the next actor that is free."""
        while self._waiting and self._waiting[0].status != Trial.PENDING:
            self._waiting.popleft()
        if self._waiting and time.monotonic() - self._waiting[0].created_at >= PATIENCE_S:
            return self._waiting[0]
        return None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A program ended; what became of its trials is told to the plan by :class:`search.tune.EventRelay`."""
        self._live.discard(trial_id)


def _member(trial: PlannedTrial, stack: int) -> dict[str, Any]:
    attributes = {**trial.attributes, "stack": stack}
    return {"number": trial.number, "parameters": dict(trial.parameters), "attributes": attributes}
