"""Points that users give and further trials, on both databases; what runs is a plan with planted values."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from search.events import Observer, TrialCompleted, TrialFailed, TrialStarted
from search.orders import Look
from search.plan import Plan
from search.problem import PastTrial, SearchProblem
from studies import orders, service
from studies.database import Database
from studies.errors import Conflict, NotFound
from studies.records import Study, StudyState, Trial
from studies.repository import formulas
from studies.runner import run_study
from studies.service.continuing import EnqueueRequest, ExtendRequest


class Killed(BaseException):
    """The driver is gone, wherever it was."""


class PlannedSearch:
    """Runs what the plan says, one trial at a time, in the driver's process."""

    def __init__(self, before: Callable[[int], None] = lambda number: None, stored: int = 1000) -> None:
        self.before = before
        self.stored = stored
        """Trials that begin before the driver is killed."""

    def __call__(
        self,
        problem: SearchProblem,
        history: Sequence[PastTrial],
        observer: Observer,
        should_stop: Callable[[], bool],
        *,
        ray_address: str | None,
        look: Look,
    ) -> None:
        plan = Plan(problem, history, look)
        while not should_stop() and (group := plan.start_next()):
            for trial in group:
                if self.stored == 0:
                    raise Killed
                self.stored -= 1
                observer(TrialStarted(trial.number, trial.parameters, trial.attributes))
                self.before(trial.number)
                value = float(trial.number)
                plan.end(trial.number, (value,))
                observer(TrialCompleted(trial.number, {"bits_per_byte": value}, {}))


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def make(database: Database, document: dict[str, Any], roots: list[Path]) -> Callable[..., Study]:
    def make(**changes: Any) -> Study:
        wide = {"depth": {"type": "int", "low": 1, "high": 20}}
        spec = {**document, "space": wide, "sampler": {"kind": "qmc"}, **changes}
        with database.session() as session:
            return service.create_study(session, "ada", spec, roots)

    return make


def run(database: Database, study: Study, folder: Path, search: PlannedSearch | None = None) -> list[Trial]:
    run_study(database, study.id, folder, search=search or PlannedSearch())
    return trials(database, study)


def trials(database: Database, study: Study) -> list[Trial]:
    with database.read_session() as session:
        return service.list_trials(session, "ada", study.id)


def enqueue(database: Database, study: Study, *depths: int, **further: Any) -> list[int]:
    request = EnqueueRequest.model_validate({"parameters": [{"depth": depth} for depth in depths], **further})
    with database.session() as session:
        return [point.position for point in service.enqueue_points(session, "ada", study.id, request)]


def extend(database: Database, study: Study, further: int) -> Study:
    with database.session() as session:
        return service.extend_study(session, "ada", study.id, ExtendRequest(trials=further))


def origins(found: list[Trial]) -> list[str]:
    return [str(trial.attributes["origin"]) for trial in found]


def test_enqueued_points_run_first(database: Database, make: Callable[..., Study], tmp_path: Path) -> None:
    study = make()
    assert enqueue(database, study, 7, 9) == [0, 1]
    found = run(database, study, tmp_path)
    assert [trial.parameters["depth"] for trial in found[:4]] == [7, 7, 9, 9]
    assert origins(found) == ["enqueued"] * 4 + ["design"] * 2


def test_a_running_driver_takes_up_what_is_enqueued_and_asked_for_meanwhile(
    database: Database, make: Callable[..., Study], tmp_path: Path
) -> None:
    study = make()

    def meanwhile(number: int) -> None:
        if number == 1:
            enqueue(database, study, 20)
        if number == 5:
            extend(database, study, 2)

    found = run(database, study, tmp_path, PlannedSearch(meanwhile))
    assert origins(found) == ["design"] * 2 + ["enqueued"] * 2 + ["design"] * 4
    assert found[2].parameters["depth"] == 20


def test_what_is_asked_for_when_a_search_has_just_ended_is_run(
    database: Database, make: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last look of the search and the end of the study."""
    monkeypatch.setattr(orders, "LOOK_EVERY_S", 1e9)
    study = make()
    found = run(database, study, tmp_path, PlannedSearch(lambda number: number == 5 and extend(database, study, 4)))
    assert len(found) == 10


@pytest.mark.parametrize("stored", range(6))
def test_a_point_runs_once_wherever_the_driver_is_killed(
    database: Database, make: Callable[..., Study], tmp_path: Path, stored: int
) -> None:
    study = make()
    enqueue(database, study, 7, 9)
    with pytest.raises(Killed):
        run(database, study, tmp_path, PlannedSearch(stored=stored))
    found = run(database, study, tmp_path)
    assert [trial.attributes["enqueued_point"] for trial in found[:4]] == [0, 0, 1, 1]
    assert origins(found) == ["enqueued"] * 4 + ["design"] * 2
    assert {trial.state for trial in found} == {"COMPLETE"}


def test_points_are_checked_when_they_are_posted(
    database: Database, make: Callable[..., Study], tmp_path: Path
) -> None:
    study = make(max_trial_count=10)
    enqueue(database, study, 7)
    with pytest.raises(Killed):
        run(database, study, tmp_path, PlannedSearch(stored=2))
    for depths, said in (
        ((7,), "was tried as trial 0"),
        ((8, 8), "is parameters.0 too"),
        ((21,), "outside of 1 to 20"),
    ):
        with pytest.raises(InvalidInput, match=said):
            enqueue(database, study, *depths)
    enqueue(database, study, 8)
    with pytest.raises(InvalidInput, match="is enqueued"):
        enqueue(database, study, 8)
    enqueue(database, study, 8, allow_duplicates=True)
    with pytest.raises(Conflict, match="4 trials left for points that are given, and 3 points take 6 trials"):
        enqueue(database, study, 9, 10, 11)
    found = run(database, study, tmp_path)
    assert [trial.parameters["depth"] for trial in found[2:6]] == [8] * 4
    with pytest.raises(Conflict, match="extend it first"):
        enqueue(database, study, 12)
    with database.session() as session, pytest.raises(NotFound):
        service.enqueue_points(session, "eve", study.id, EnqueueRequest(parameters={"depth": 3}))


@pytest.mark.parametrize("how", ["ended", "stopped", "cancelled", "failed"])
def test_an_ended_study_goes_on_with_further_trials(
    database: Database, make: Callable[..., Study], tmp_path: Path, how: str
) -> None:
    study = make()
    verbs = {"stopped": service.stop_study, "cancelled": service.cancel_study}

    def meanwhile(number: int) -> None:
        if how in verbs and number == 2:
            with database.session() as session:
                verbs[how](session, "ada", study.id)

    if how == "failed":
        run_study(database, study.id, tmp_path, search=_fail)
    else:
        run(database, study, tmp_path, PlannedSearch(meanwhile))
    before = trials(database, study)
    extended = extend(database, study, 4)
    assert (extended.state, extended.error, extended.finished_at) == (StudyState.QUEUED, None, None)
    assert extended.spec["max_trial_count"] == 10
    after = run(database, study, tmp_path)
    assert after[: len(before)] == before
    assert [trial.number for trial in after] == list(range(10))
    assert [trial.parameters["depth"] for trial in after] == [
        trial.parameters["depth"] for trial in run(database, make(max_trial_count=10), tmp_path)
    ]


def _fail(
    problem: SearchProblem,
    history: Sequence[PastTrial],
    observer: Observer,
    should_stop: Callable[[], bool],
    *,
    ray_address: str | None,
    look: Look,
) -> None:
    plan = Plan(problem, history, look)
    while group := plan.start_next():
        for trial in group:
            observer(TrialStarted(trial.number, trial.parameters, trial.attributes))
            plan.end(trial.number, None)
            observer(TrialFailed(trial.number, "it diverged"))


def test_formulas_are_fitted_anew_and_to_the_design_alone(
    database: Database, make: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    from studies.formulas import registry

    monkeypatch.setattr(registry, "fit_all", lambda rows, context: seen.append([row.number for row in rows]) or [])
    study = make(seeds={"count": 2, "leaders": 1}, max_trial_count=8)
    enqueue(database, study, 7)
    run(database, study, tmp_path)
    extend(database, study, 4)
    run(database, study, tmp_path)
    assert seen == [[2, 3, 4, 5], [2, 3, 4, 5, 8, 9]]
    exploring = make(purpose="optimise", start={"points": [{"depth": 7}]})
    run(database, exploring, tmp_path)
    assert seen[2:] == [[0, 1, 2, 3, 4, 5]]
    with database.read_session() as session:
        assert formulas.latest(session, study.id) == []


def test_a_study_that_has_tried_everything_is_not_extended(
    database: Database, make: Callable[..., Study], tmp_path: Path
) -> None:
    study = make(space={"depth": {"type": "int", "low": 1, "high": 3}}, sampler={"kind": "grid"})
    run(database, study, tmp_path)
    with pytest.raises(Conflict, match="has 6 trials, and all of them are asked for"):
        extend(database, study, 2)
    with pytest.raises(InvalidInput, match="at most 1000000"):
        extend(database, make(), 999_999)


def test_replicates_need_further_trials_beside_them(
    database: Database, make: Callable[..., Study], tmp_path: Path
) -> None:
    study = make(seeds={"count": 2, "leaders": 2}, max_trial_count=10)
    assert origins(run(database, study, tmp_path)) == ["design"] * 6 + ["replicate"] * 4
    with pytest.raises(InvalidInput, match="give more than 4"):
        extend(database, study, 4)
    extend(database, study, 6)
    assert origins(run(database, study, tmp_path))[10:] == ["design"] * 2 + ["replicate"] * 4
