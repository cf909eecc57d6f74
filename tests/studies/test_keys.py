"""Keys, log-in codes and browser sessions, as both databases keep them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text

from model.errors import InvalidInput
from studies import service
from studies.database import Database
from studies.errors import NotFound
from studies.records import Key, Role
from studies.service import logins


@pytest.fixture
def made(database: Database) -> tuple[Key, str]:
    with database.session() as session:
        return service.create_key(session, "ada", Role.WRITE, "laptop")


def test_a_key_is_found_by_its_text_alone(database: Database, made: tuple[Key, str]) -> None:
    key, secret = made
    with database.read_session() as session:
        assert service.find_key(session, secret) == key
        for wrong in ("", secret[:-1], secret + "x", secret.upper(), secret[:8], "\0", "ü", "x" * 100_000):
            assert service.find_key(session, wrong) is None


def test_keys_are_long_and_different(database: Database) -> None:
    with database.session() as session:
        secrets = [service.create_key(session, "ada", Role.READ, "wall")[1] for _ in range(20)]
    assert len(set(secrets)) == 20
    assert {(secret[:4], len(secret)) for secret in secrets} == {("fml_", 47)}


def test_no_secret_is_stored(database: Database, made: tuple[Key, str]) -> None:
    key, secret = made
    with database.session() as session:
        code = service.create_login_code(session, key.id)
        cookie = service.log_in_with_key(session, secret)
        assert cookie is not None
        rows = [
            session.execute(text(f"SELECT * FROM {name}")).all() for name in ("api_keys", "login_codes", "web_sessions")
        ]
    stored = str(rows)
    assert [len(table) for table in rows] == [1, 1, 1]
    for hidden in (secret[8:], code, cookie):
        assert hidden not in stored


def test_a_revoked_key_stays_listed_and_opens_nothing(database: Database, made: tuple[Key, str]) -> None:
    key, secret = made
    with database.session() as session:
        code = service.create_login_code(session, key.id)
        cookie = service.log_in_with_key(session, secret)
        assert cookie is not None
        service.revoke_key(session, key.id)
    with database.session() as session:
        assert service.find_key(session, secret) is None
        assert not service.is_valid_key(session, key.id)
        assert service.find_login(session, cookie) is None
        assert service.log_in_with_code(session, code) is None
        assert service.log_in_with_key(session, secret) is None
        (listed,) = service.list_keys(session, None, 10)
        service.revoke_key(session, key.id)
        (again,) = service.list_keys(session, None, 10)
    assert listed.revoked_at is not None
    assert again.revoked_at == listed.revoked_at


def test_a_key_that_is_not_there_cannot_be_revoked(database: Database) -> None:
    with database.session() as session, pytest.raises(NotFound):
        service.revoke_key(session, 1)


@pytest.mark.parametrize("owner", ["", " ", "a b", "a\n", "a\0", "-a", "ü", "o" * 201])
def test_owners_are_names_that_can_be_typed(database: Database, owner: str) -> None:
    with database.session() as session, pytest.raises(InvalidInput, match=r"^owner: "):
        service.create_key(session, owner, Role.READ, "name")


def test_many_browsers_with_one_code_open_one_session(database: Database, made: tuple[Key, str]) -> None:
    with database.session() as session:
        code = service.create_login_code(session, made[0].id)

    def log_in(_: int) -> str | None:
        with database.session() as session:
            return service.log_in_with_code(session, code)

    with ThreadPoolExecutor(8) as pool:
        cookies = [cookie for cookie in pool.map(log_in, range(16)) if cookie is not None]
    assert len(cookies) == 1
    with database.read_session() as session:
        assert service.find_login(session, cookies[0]) == made[0]


def test_codes_and_sessions_end_and_are_removed(
    database: Database, made: tuple[Key, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, database.session() as session:
        patched.setattr(logins, "CODE_TTL", timedelta(0))
        patched.setattr(logins, "SESSION_TTL", timedelta(0))
        code = service.create_login_code(session, made[0].id)
        cookie = service.log_in_with_key(session, made[1])
        assert cookie is not None
    with database.session() as session:
        assert service.log_in_with_code(session, code) is None
        assert service.find_login(session, cookie) is None
        service.create_login_code(session, made[0].id)
        counts = [session.scalar(text(f"SELECT count(*) FROM {name}")) for name in ("login_codes", "web_sessions")]
    assert counts == [1, 0]


def test_logging_out_leaves_other_browsers_alone(database: Database, made: tuple[Key, str]) -> None:
    with database.session() as session:
        first, second = (service.log_in_with_key(session, made[1]) for _ in range(2))
        assert first is not None
        assert second is not None
        service.log_out(session, first)
        service.log_out(session, "unknown")
        assert service.find_login(session, first) is None
        assert service.find_login(session, second) == made[0]


def test_counts_studies_by_state(database: Database) -> None:
    with database.read_session() as session:
        assert set(service.count_studies(session).values()) == {0}
