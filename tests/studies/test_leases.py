"""One process at a time works on a study, and an earlier one can no longer write."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from studies.database import Database
from studies.errors import LeaseHeld, LeaseLost, NotFound
from studies.records import StudyState
from studies.repository import leases, owners, studies
from studies.tables import StudyRow

TTL = timedelta(seconds=20)
SHORT = timedelta(milliseconds=50)


@pytest.fixture
def study_id(database: Database) -> int:
    now = datetime.now(UTC)
    with database.session() as session:
        owners.ensure(session, "ada", now)
        return studies.add(session, "ada", "study", StudyState.QUEUED, {}, "digest", now).id


def claim(
    database: Database, study_id: int, holder: str, ttl: timedelta = TTL, dead: str | None = None
) -> leases.Lease:
    with database.session() as session:
        return leases.claim(session, StudyRow, study_id, holder, ttl, dead)


def test_the_database_clock_is_aware_and_close_to_ours(database: Database) -> None:
    with database.read_session() as session:
        assert abs(leases.database_now(session) - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_live_lease_is_refused_with_its_end(database: Database, study_id: int) -> None:
    claim(database, study_id, "host:1:0")
    with pytest.raises(LeaseHeld, match="host:1 until") as refusal:
        claim(database, study_id, "host:2:0")
    assert timedelta(0) < refusal.value.expires_at - datetime.now(UTC) <= TTL + timedelta(seconds=1)


def test_an_expired_lease_is_taken_over_and_its_holder_is_fenced(database: Database, study_id: int) -> None:
    first = claim(database, study_id, "host:1:0", SHORT)
    time.sleep(2 * SHORT.total_seconds())
    second = claim(database, study_id, "host:2:0")
    assert second.token == first.token + 1
    for act in (leases.verify, leases.release, lambda s, lease: leases.renew(s, lease, TTL)):
        with pytest.raises(LeaseLost), database.session() as session:
            act(session, first)
    with database.session() as session:
        leases.verify(session, second)


def test_a_renewed_lease_outlives_its_first_end(database: Database, study_id: int) -> None:
    lease = claim(database, study_id, "host:1:0", SHORT)
    with database.session() as session:
        leases.renew(session, lease, TTL)
    time.sleep(2 * SHORT.total_seconds())
    with pytest.raises(LeaseHeld):
        claim(database, study_id, "host:2:0")


def test_the_lease_of_a_dead_process_is_taken_over_at_once(database: Database, study_id: int) -> None:
    claim(database, study_id, "host:1:0")
    with pytest.raises(LeaseHeld):
        claim(database, study_id, "host:3:0", dead="host:2:0")
    assert claim(database, study_id, "host:3:0", dead="host:1:0").token == 2


def test_a_released_lease_is_free(database: Database, study_id: int) -> None:
    lease = claim(database, study_id, "host:1:0")
    with database.session() as session:
        assert leases.is_held(session, StudyRow, study_id)
        leases.release(session, lease)
    with database.session() as session:
        assert not leases.is_held(session, StudyRow, study_id)
    claim(database, study_id, "host:2:0")


def test_what_is_gone_cannot_be_claimed_or_verified(database: Database, study_id: int) -> None:
    lease = claim(database, study_id, "host:1:0")
    with database.session() as session:
        studies.remove(session, study_id)
    with pytest.raises(LeaseLost), database.session() as session:
        leases.verify(session, lease)
    with pytest.raises(NotFound):
        claim(database, study_id, "host:2:0")
