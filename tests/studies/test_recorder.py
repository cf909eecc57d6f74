"""Events become rows once, finished trials never change, and a driver without the lease cannot write."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from search.events import (
    AttemptLost,
    TrialCompleted,
    TrialEvent,
    TrialFailed,
    TrialInfeasible,
    TrialProgress,
    TrialPruned,
    TrialStarted,
)
from studies import recorder as recorder_module
from studies.database import Database
from studies.errors import LeaseLost
from studies.recorder import Recorder
from studies.records import TERMINAL_TRIAL_STATES, AttemptState, StudyState, Trial, TrialState
from studies.repository import attempts, leases, owners, studies, trials
from studies.tables import AttemptRow, StudyRow

TTL = timedelta(seconds=20)
STARTED = TrialStarted(0, {"depth": 2, "learning_rate": 1e-3, "init_scheme": "gpt2"}, {"heads": 4})
PROGRESS = TrialProgress(0, 10, {"bits_per_byte": 3.0, "validation_loss": 2.0})
COMPLETED = TrialCompleted(0, {"bits_per_byte": 2.5, "train_tokens": 1000.0}, {"corpus_fingerprint": "abc"})


@pytest.fixture
def lease(database: Database) -> leases.Lease:
    return new_lease(database)


@pytest.fixture
def recorder(database: Database, lease: leases.Lease, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr(recorder_module, "FLUSH_AFTER_S", 0.0)
    return Recorder(database, lease)


def new_lease(database: Database) -> leases.Lease:
    now = datetime.now(UTC)
    with database.session() as session:
        owners.ensure(session, "ada", now)
        study = studies.add(session, "ada", "study", StudyState.QUEUED, {}, "digest", now)
        return leases.claim(session, StudyRow, study.id, "host:1:0", TTL)


def stored(database: Database, lease: leases.Lease) -> list[Trial]:
    with database.read_session() as session:
        return trials.page(session, lease.id, None, None)


def progress_of(database: Database, lease: leases.Lease, number: int = 0) -> list[tuple[int, str, float]]:
    with database.read_session() as session:
        return [(v.step, v.metric, v.value) for v in trials.intermediate_values(session, lease.id, number)]


def attempts_of(database: Database, lease: leases.Lease) -> list[tuple[int, AttemptState, str | None]]:
    statement = select(AttemptRow.attempt, AttemptRow.state, AttemptRow.reason).where(AttemptRow.study_id == lease.id)
    with database.read_session() as session:
        return [(row.attempt, row.state, row.reason) for row in session.execute(statement.order_by(AttemptRow.attempt))]


def feed(recorder: Recorder, events: Sequence[TrialEvent]) -> None:
    for event in events:
        recorder(event)


def test_a_trial_from_start_to_end(database: Database, lease: leases.Lease, recorder: Recorder) -> None:
    feed(recorder, [STARTED, PROGRESS, COMPLETED])
    (trial,) = stored(database, lease)
    assert (trial.number, trial.state, trial.attempts) == (0, TrialState.COMPLETE, 1)
    assert trial.parameters == STARTED.parameters
    assert trial.metrics == COMPLETED.metrics
    assert trial.attributes == {"heads": 4, "corpus_fingerprint": "abc"}
    assert trial.started_at is not None
    assert trial.finished_at is not None
    assert trial.started_at <= trial.finished_at
    assert progress_of(database, lease) == [(10, "bits_per_byte", 3.0), (10, "validation_loss", 2.0)]
    assert attempts_of(database, lease) == [(1, AttemptState.FINISHED, None)]


def test_training_losses_are_stored_by_step(database: Database, lease: leases.Lease, recorder: Recorder) -> None:
    feed(recorder, [STARTED, replace(PROGRESS, losses=((1, 6.5), (9, 3.5), (10, float("nan"))))])
    feed(recorder, [replace(PROGRESS, step=20, losses=((9, 3.5), (15, 2.5))), COMPLETED])
    losses = [(step, value) for step, metric, value in progress_of(database, lease) if metric == "train_loss"]
    assert losses == [(1, 6.5), (9, 3.5), (15, 2.5)]


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (TrialPruned(0, {"bits_per_byte": 4.0}, {}, "rung 1"), TrialState.PRUNED),
        (TrialFailed(0, "the loss diverged at step 3"), TrialState.FAIL),
        (TrialInfeasible(0, "no width fits"), TrialState.INFEASIBLE),
    ],
)
def test_other_ends(
    database: Database, lease: leases.Lease, recorder: Recorder, event: TrialEvent, state: TrialState
) -> None:
    feed(recorder, [STARTED, event])
    (trial,) = stored(database, lease)
    assert trial.state is state
    assert trial.metrics == getattr(event, "metrics", {})
    assert trial.reason == getattr(event, "reason", None)


def test_a_trial_that_ends_before_it_starts_is_stored(
    database: Database, lease: leases.Lease, recorder: Recorder
) -> None:
    recorder(TrialInfeasible(7, "no width fits"))
    (trial,) = stored(database, lease)
    assert (trial.number, trial.state, trial.attempts) == (7, TrialState.INFEASIBLE, 0)


def test_a_metric_that_is_not_finite_fails_the_trial(
    database: Database, lease: leases.Lease, recorder: Recorder
) -> None:
    feed(recorder, [STARTED, replace(COMPLETED, metrics={"bits_per_byte": float("nan"), "train_tokens": 10.0})])
    (trial,) = stored(database, lease)
    assert (trial.state, trial.metrics) == (TrialState.FAIL, {"train_tokens": 10.0})
    assert trial.reason == "the run ended with bits_per_byte not finite"


def test_values_and_attributes_that_are_not_finite_do_not_stop_the_study(
    database: Database, lease: leases.Lease, recorder: Recorder
) -> None:
    feed(recorder, [STARTED, TrialProgress(0, 1, {"bits_per_byte": float("inf"), "validation_loss": 1.0})])
    recorder(replace(COMPLETED, attributes={"gradient_norm": float("inf")}))
    assert progress_of(database, lease) == [(1, "validation_loss", 1.0)]
    assert stored(database, lease)[0].attributes["gradient_norm"] == "inf"


def test_a_lost_attempt_waits_under_its_number(database: Database, lease: leases.Lease, recorder: Recorder) -> None:
    feed(recorder, [STARTED, PROGRESS, AttemptLost(0, "the worker died")])
    assert stored(database, lease)[0].state is TrialState.WAITING
    assert progress_of(database, lease) == []
    feed(recorder, [STARTED, TrialProgress(0, 20, {"bits_per_byte": 2.8}), COMPLETED])
    (trial,) = stored(database, lease)
    assert (trial.state, trial.attempts) == (TrialState.COMPLETE, 2)
    assert progress_of(database, lease) == [(20, "bits_per_byte", 2.8)]
    assert attempts_of(database, lease) == [
        (1, AttemptState.STALE, "the worker died"),
        (2, AttemptState.FINISHED, None),
    ]


def test_running_trials_of_a_dead_driver_wait_again(
    database: Database, lease: leases.Lease, recorder: Recorder
) -> None:
    feed(recorder, [STARTED, PROGRESS, replace(STARTED, number=1), replace(COMPLETED, number=1)])
    with database.session() as session:
        assert attempts.lose_all(session, lease.id, "the driver died", datetime.now(UTC)) == [0]
    assert [trial.state for trial in stored(database, lease)] == [TrialState.WAITING, TrialState.COMPLETE]
    assert progress_of(database, lease) == []


def test_progress_is_kept_back_until_the_next_event_and_never_lost(database: Database, lease: leases.Lease) -> None:
    recorder = Recorder(database, lease)
    feed(recorder, [STARTED, *(TrialProgress(0, step, {"bits_per_byte": 3.0}) for step in range(20))])
    assert progress_of(database, lease) == []
    recorder(COMPLETED)
    assert len(progress_of(database, lease)) == 20


def test_flush_writes_what_is_kept_back(database: Database, lease: leases.Lease) -> None:
    recorder = Recorder(database, lease)
    feed(recorder, [STARTED, PROGRESS])
    recorder.flush()
    assert len(progress_of(database, lease)) == 2


def test_a_driver_that_lost_its_lease_cannot_write(database: Database, lease: leases.Lease, recorder: Recorder) -> None:
    recorder(STARTED)
    with database.session() as session:
        leases.claim(session, StudyRow, lease.id, "host:2:0", TTL, dead_holder=lease.holder)
    with pytest.raises(LeaseLost, match=f"study {lease.id}"):
        recorder(COMPLETED)
    assert stored(database, lease)[0].state is TrialState.RUNNING


def test_reasons_are_cut_to_size_and_hold_no_zero_character(
    database: Database, lease: leases.Lease, recorder: Recorder
) -> None:
    recorder(TrialFailed(0, "a\0" * 5000))
    reason = stored(database, lease)[0].reason
    assert reason is not None
    assert len(reason) == recorder_module.MAX_REASON_CHARACTERS
    assert "\0" not in reason


def events_of(number: int) -> st.SearchStrategy[TrialEvent]:
    value = st.floats(allow_nan=True, allow_infinity=True)
    return st.one_of(
        st.just(replace(STARTED, number=number)),
        st.builds(TrialProgress, st.just(number), st.integers(0, 3), st.fixed_dictionaries({"bits_per_byte": value})),
        st.builds(TrialCompleted, st.just(number), st.fixed_dictionaries({"bits_per_byte": value}), st.just({})),
        st.just(TrialPruned(number, {}, {}, "rung 1")),
        st.just(TrialFailed(number, "diverged")),
        st.just(AttemptLost(number, "died")),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.integers(0, 2).flatmap(events_of), max_size=12))
def test_any_order_of_events_keeps_finished_trials_and_stores_nothing_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch, events: list[TrialEvent]
) -> None:
    monkeypatch.setattr(recorder_module, "FLUSH_AFTER_S", 0.0)
    lease = new_lease(database)
    recorder = Recorder(database, lease)
    finished: dict[int, Trial] = {}
    for event in events:
        recorder(event)
        once = stored(database, lease)
        if not isinstance(event, TrialStarted | AttemptLost):
            recorder(event)
            assert stored(database, lease) == once
        now_finished = {trial.number: trial for trial in once if trial.state in TERMINAL_TRIAL_STATES}
        assert now_finished | finished == now_finished
        finished = now_finished
    feed(recorder, events)
    after = {trial.number: trial for trial in stored(database, lease)}
    assert {number: after[number] for number in finished} == finished
