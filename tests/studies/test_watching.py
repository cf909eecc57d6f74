"""What a watcher reads between two looks, on both databases."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from search.events import Value
from studies import service
from studies.database import Database
from studies.errors import NotFound
from studies.records import IntermediateValue, StudyState, Trial, TrialState
from studies.repository import attempts, studies
from studies.service import watching
from studies.service.watching import BEFORE_EVERYTHING, Look

NOW = datetime.now(UTC)
PARAMETERS: dict[str, Value] = {"depth": 1}


@pytest.fixture
def study_id(database: Database, document: dict[str, Any], roots: list[Path]) -> int:
    with database.session() as session:
        return service.create_study(session, "ada", document, roots).id


def look(database: Database, study_id: int, since: int = BEFORE_EVERYTHING) -> Look | None:
    with database.read_session() as session:
        return service.look(session, "ada", study_id, since)


def changes(database: Database, looked: Look) -> tuple[list[Trial], list[IntermediateValue]]:
    """All pages of what is new."""
    trials: list[Trial] = []
    values: list[IntermediateValue] = []
    with database.read_session() as session:
        while found := service.changed_trials(session, looked, trials[-1] if trials else None):
            trials += found
        while reported := service.new_values(session, looked, values[-1] if values else None):
            values += reported
    return trials, values


def test_pages_hold_everything_once_in_order(
    database: Database, study_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "TRIALS_A_PAGE", 2)
    monkeypatch.setattr(watching, "VALUES_A_PAGE", 3)
    reported = [
        IntermediateValue(number, step, metric, number + step / 100)
        for number in range(3)
        for step in (9, 10, 100)
        for metric in ("bits_per_byte", "validation_loss")
    ]
    with database.session() as session:
        for number in range(3):
            attempts.start(session, study_id, number, PARAMETERS, {}, NOW)
        attempts.report(session, study_id, list(reversed(reported)))
    looked = look(database, study_id)
    assert looked is not None
    trials, values = changes(database, looked)
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert values == reported


def test_only_what_changed_after_a_look_is_new(database: Database, study_id: int) -> None:
    with database.session() as session:
        for number in range(2):
            attempts.start(session, study_id, number, PARAMETERS, {}, NOW)
    first = look(database, study_id)
    assert first is not None
    assert first.trial_counts == {TrialState.RUNNING: 2}
    assert look(database, study_id, first.study.revision) is None
    with database.session() as session:
        attempts.finish(session, study_id, 1, TrialState.COMPLETE, {"bits_per_byte": 2.0}, {}, None, NOW)
    second = look(database, study_id, first.study.revision)
    assert second is not None
    assert [(trial.number, trial.metrics) for trial in changes(database, second)[0]] == [(1, {"bits_per_byte": 2.0})]


def test_a_study_that_has_ended_is_settled_though_nothing_changed(database: Database, study_id: int) -> None:
    with database.session() as session:
        studies.set_state(session, study_id, StudyState.COMPLETED)
    ended = look(database, study_id)
    assert ended is not None
    assert ended.settled
    again = look(database, study_id, ended.study.revision)
    assert again is not None
    assert again.settled


def test_another_owner_sees_nothing(database: Database, study_id: int) -> None:
    with pytest.raises(NotFound), database.read_session() as session:
        service.look(session, "eve", study_id, BEFORE_EVERYTHING)
