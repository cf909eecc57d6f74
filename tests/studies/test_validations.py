"""Validations as rows, on both databases: created with their studies, judged by their trials, whatever happens."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from search.events import Observer, TrialCompleted, TrialStarted
from search.orders import Look
from search.problem import PastTrial, SearchProblem
from studies import service
from studies.database import Database
from studies.errors import Conflict, NotFound
from studies.records import StudyState, Trial, TrialState
from studies.repository import studies, trials, validations
from studies.runner import run_study
from studies.service.studies import add_study
from studies.service.validations import JudgedValidation
from studies.spec import StudySpec
from studies.validation.request import ValidationRequest
from studies.validation.results import runs_of
from tests.studies.validation.planted import planted_trials, study_spec

SIZES = (500_000, 1_000_000, 2_000_000)
REQUEST = ValidationRequest(sizes=SIZES)
NOISE = (-0.001, 0.0, 0.001)
SEEDS = range(3)
LEADS = {"recipe": 0.0, "default": 0.1, "step_law": 0.05, "half_rate": 0.03, "double_rate": 0.04}
Loss = Callable[[str, int, int], float | str]
"""Bits per byte of a candidate at a place among the sizes and among the seeds, or why it failed."""


def planted_loss(name: str, size: int, seed: int) -> float | str:
    wobble = NOISE[(seed + len(name)) % 3]
    return 2.0 - 0.1 * size + LEADS[name] + wobble


class CutOffSearch:
    """Ends some trials as planned and is then interrupted."""

    def __init__(self, ended: int) -> None:
        self.left = ended

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
        done = {trial.number for trial in history if trial.state not in ("WAITING", "RUNNING")}
        for number in sorted(set(range(problem.max_trial_count)) - done):
            observer(TrialStarted(number, {"seed": number}))
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            point, seed = divmod(number, len(SEEDS))
            observer(TrialCompleted(number, {"bits_per_byte": float(planted_loss([*LEADS][point], 0, seed))}, {}))


@pytest.fixture
def study(database: Database, roots: list[Path]) -> int:
    """A finished study of ``ada`` with nine complete trials."""
    spec = study_spec(corpus={"kind": "text", "path": str(roots[0] / "text.txt")}, validation_bytes=1000)
    with database.session() as session:
        stored = add_study(session, "ada", "planted", StudyState.COMPLETED, spec.model_dump(mode="json"))
        trials.add_many(session, stored.id, planted_trials(spec))
    return stored.id


def create(database: Database, study: int, roots: list[Path], request: ValidationRequest = REQUEST) -> JudgedValidation:
    with database.read_session() as session:
        prepared = service.prepare_validation(session, "ada", study, request, service.Places(Path(), roots))
    with database.session() as session:
        return service.get_validation(session, "ada", study, service.add_validation(session, "ada", prepared).id)


def look(database: Database, validation: JudgedValidation) -> JudgedValidation:
    with database.read_session() as session:
        return service.get_validation(session, "ada", validation.study_id, validation.id)


def train(database: Database, validation: JudgedValidation, place: int, loss: Loss = planted_loss) -> None:
    """Store the trials of one size as if they had been run."""
    rung, study_id = validation.plan.rungs[place], validation.rungs[place].study_id
    assert study_id is not None
    names = {one.point: one.name for one in reversed(rung.candidates)}
    made = [
        _ended(point * len(rung.seeds) + seed, loss(name, place, seed))
        for point, name in sorted(names.items())
        for seed in range(len(rung.seeds))
    ]
    with database.session() as session:
        trials.add_many(session, study_id, made)
        studies.set_state(session, study_id, StudyState.COMPLETED)


def _ended(number: int, found: float | str) -> Trial:
    failed = isinstance(found, str)
    state = TrialState.FAIL if failed else TrialState.COMPLETE
    metrics = {} if isinstance(found, str) else {"bits_per_byte": found}
    return Trial(number, state, {"seed": number}, metrics, {}, str(found) if failed else None, 1, None, None)


def train_all(database: Database, validation: JudgedValidation, loss: Loss = planted_loss) -> JudgedValidation:
    for place in range(len(SIZES)):
        train(database, validation, place, loss)
    return look(database, validation)


def test_a_validation_queues_a_study_for_each_size(database: Database, study: int, roots: list[Path]) -> None:
    created = create(database, study, roots)
    assert (created.state, created.judgement.verdict) == ("running", None)
    assert created.judgement.reasons == ("0 of 45 runs have ended; the verdict comes with the last one",)
    assert [(rung.state, rung.ended, rung.runs) for rung in created.rungs] == [(StudyState.QUEUED, 0, 15)] * 3
    with database.read_session() as session:
        specs = [
            StudySpec.model_validate(service.get_study(session, "ada", rung.study_id or 0).spec)
            for rung in created.rungs
        ]
        assert [one.id for one in service.list_validations(session, "ada", study)] == [created.id]
        owner = validations.owning(session, created.rungs[1].study_id or 0)
        assert owner is not None
        assert owner.id == created.id
        assert validations.owning(session, study) is None
    assert [spec.max_trial_count for spec in specs] == [runs_of(rung) for rung in created.plan.rungs]
    assert {spec.tags for spec in specs} == {("validation",)}


def test_it_is_judged_by_its_trials_when_the_last_run_has_ended(
    database: Database, study: int, roots: list[Path], tmp_path: Path
) -> None:
    created = create(database, study, roots)
    for place in range(2):
        train(database, created, place)
    halfway = look(database, created)
    assert (halfway.state, halfway.judgement.verdict) == ("running", None)
    assert [rung.ended for rung in halfway.rungs] == [15, 15, 0]
    assert halfway.judgement.rungs[0].regret is not None
    train(database, created, 2)
    ended = look(database, created)
    assert (ended.state, ended.judgement.verdict) == ("ended", "passed")
    assert ended.judgement.regret is not None
    assert ended.judgement.regret.estimate == pytest.approx(-0.03, abs=0.001)
    assert ended.plan == created.plan


def test_a_size_that_was_cut_off_goes_on_from_its_rows(
    database: Database, study: int, roots: list[Path], tmp_path: Path
) -> None:
    created = create(database, study, roots)
    first = created.rungs[0].study_id
    assert first is not None
    for ended in (4, 3):
        with pytest.raises(KeyboardInterrupt):
            run_study(database, first, tmp_path, search=CutOffSearch(ended))
    assert look(database, created).rungs[0].ended == 7
    run_study(database, first, tmp_path, search=CutOffSearch(1000))
    for place in (1, 2):
        train(database, created, place)
    assert look(database, created).judgement.verdict == "passed"
    with database.read_session() as session:
        assert trials.count_by_state(session, first) == {TrialState.COMPLETE: 15}


def test_a_diverged_rival_is_told_from_one_that_failed(
    database: Database, study: int, roots: list[Path], tmp_path: Path
) -> None:
    def loss(reason: str) -> Loss:
        return lambda name, size, seed: reason if name == "double_rate" else planted_loss(name, size, seed)

    diverged = create(database, study, roots)
    ended = train_all(database, diverged, loss("training diverged: the loss is not finite"))
    assert ended.judgement.verdict == "passed"
    (result,) = [one for one in ended.judgement.rungs[0].candidates if one.name == "double_rate"]
    assert (result.mean, result.diverged, result.missing) == (None, 3, 0)
    failed = create(database, study, roots)
    ended = train_all(database, failed, loss("out of memory"))
    assert ended.judgement.verdict == "undecided"
    assert ended.judgement.reasons[0].startswith("lr × 2 has no value to compare")


def test_a_recipe_that_loses_fails(database: Database, study: int, roots: list[Path], tmp_path: Path) -> None:
    def loss(name: str, size: int, seed: int) -> float | str:
        return float(planted_loss(name, size, seed)) - (0.2 if name == "step_law" else 0.0)

    ended = train_all(database, create(database, study, roots), loss)
    assert ended.judgement.verdict == "failed"
    assert ended.judgement.rungs[-1].best_rival == "step_law"


def test_trials_that_a_user_adds_to_a_size_change_nothing(
    database: Database, study: int, roots: list[Path], tmp_path: Path
) -> None:
    ended = train_all(database, create(database, study, roots))
    with database.session() as session:
        rung = ended.rungs[0].study_id or 0
        more = trials.page(session, rung, None, None)[0]
        trials.add_many(
            session, rung, [type(more)(**{**_fields(more), "number": 99, "metrics": {"bits_per_byte": 0.1}})]
        )
    assert look(database, ended).judgement == ended.judgement


def _fields(trial: Any) -> Mapping[str, Any]:
    return {name: getattr(trial, name) for name in trial.__dataclass_fields__}


def test_a_size_whose_study_is_deleted_is_missing(
    database: Database, study: int, roots: list[Path], tmp_path: Path
) -> None:
    ended = train_all(database, create(database, study, roots))
    with database.session() as session:
        service.delete_study(session, "ada", ended.rungs[0].study_id or 0)
    left = look(database, ended)
    assert (left.rungs[0].study_id, left.rungs[0].ended) == (None, 0)
    assert left.judgement.verdict == "undecided"
    assert len(left.rungs) == 3


def test_it_goes_with_its_study_and_leaves_the_trained_ones(database: Database, study: int, roots: list[Path]) -> None:
    created = create(database, study, roots)
    with database.session() as session:
        service.delete_study(session, "ada", study)
    with database.read_session() as session:
        assert validations.get(session, created.id) is None
        assert [studies.state_of(session, rung.study_id or 0) for rung in created.rungs] == [StudyState.QUEUED] * 3


def test_cancelled_sizes_end_a_validation(database: Database, study: int, roots: list[Path]) -> None:
    created = create(database, study, roots)
    with database.session() as session:
        for rung in created.rungs:
            service.cancel_study(session, "ada", rung.study_id or 0)
    ended = look(database, created)
    assert (ended.state, ended.judgement.verdict) == ("ended", "undecided")


def test_an_unfinished_one_of_the_same_request_is_found(
    database: Database, study: int, roots: list[Path], tmp_path: Path
) -> None:
    created = create(database, study, roots)
    other = ValidationRequest(sizes=SIZES, seeds=4)
    with database.read_session() as session:
        found = service.find_unfinished_validation(session, "ada", study, REQUEST)
        assert found is not None
        assert found.id == created.id
        assert service.find_unfinished_validation(session, "ada", study, other) is None
    train_all(database, created)
    with database.read_session() as session:
        assert service.find_unfinished_validation(session, "ada", study, REQUEST) is None


def test_of_two_planned_at_once_one_is_stored(database: Database, study: int, roots: list[Path]) -> None:
    """Otherwise both would be trained on the same seeds."""
    with database.read_session() as session:
        prepared = service.prepare_validation(session, "ada", study, REQUEST, service.Places(Path(), roots))
    outcomes: list[str] = []

    def store() -> None:
        try:
            with database.session() as session:
                service.add_validation(session, "ada", prepared)
            outcomes.append("stored")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=store) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "refused", "stored"]
    with database.read_session() as session:
        assert validations.count(session, study) == 1


def test_further_validations_use_fresh_seeds_and_are_listed_newest_first(
    database: Database, study: int, roots: list[Path]
) -> None:
    first, second = create(database, study, roots), create(database, study, roots)
    assert not set(first.plan.rungs[0].seeds) & set(second.plan.rungs[0].seeds)
    with database.read_session() as session:
        assert [one.id for one in service.list_validations(session, "ada", study)] == [second.id, first.id]


def test_what_cannot_be_validated(database: Database, study: int, roots: list[Path]) -> None:
    created = create(database, study, roots)
    with database.read_session() as session:
        with pytest.raises(NotFound):
            service.prepare_validation(session, "eve", study, REQUEST, service.Places(Path(), roots))
        with pytest.raises(NotFound):
            service.get_validation(session, "eve", study, created.id)
        with pytest.raises(NotFound):
            service.get_validation(session, "ada", created.rungs[0].study_id or 0, created.id)
        with pytest.raises(Conflict, match="once it has ended"):
            service.prepare_validation(
                session, "ada", created.rungs[0].study_id or 0, REQUEST, service.Places(Path(), roots)
            )
        with pytest.raises(InvalidInput, match="corpus"):
            service.prepare_validation(session, "ada", study, REQUEST, service.Places(Path(), []))


def test_an_imported_study_is_refused(database: Database, roots: list[Path]) -> None:
    table = b"learning_rate,bits_per_byte\n0.001,2.5\n0.002,2.4\n"
    with database.session() as session:
        read = service.read_import("runs", "bits_per_byte", "estimate", table)
        imported = service.add_import(session, "ada", read)
        with pytest.raises(InvalidInput, match="imported"):
            service.prepare_validation(session, "ada", imported.id, REQUEST, service.Places(Path(), roots))
