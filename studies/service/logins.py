"""Browsers: logged in with a single-use code or with a key, recognised by a cookie, logged out."""

import secrets
from datetime import timedelta

from sqlalchemy.orm import Session

from studies.digest import text_digest
from studies.records import Key
from studies.repository import keys, logins
from studies.service.keys import find_key

SECRET_BYTES = 32
"""256 random bits, as in a key."""
CODE_TTL = timedelta(minutes=10)
"""How long a log-in code waits for its browser (assumed)."""
SESSION_TTL = timedelta(days=7)
"""How long a browser stays logged in (assumed)."""


def create_login_code(session: Session, key_id: int) -> str:
    """Make a code with which one browser can log in as the key ``key_id`` within ``CODE_TTL``."""
    logins.remove_expired(session)
    code = secrets.token_urlsafe(SECRET_BYTES)
    logins.add_code(session, text_digest(code), key_id, CODE_TTL)
    return code


def log_in_with_code(session: Session, code: str) -> str | None:
    """Use a code up; the text of the session's cookie, or None when the code is not valid (any more)."""
    key_id = logins.take_code(session, text_digest(code))
    return None if key_id is None or keys.get_valid(session, key_id) is None else _open(session, key_id)


def log_in_with_key(session: Session, text: str) -> str | None:
    """Log a browser in with a key; the text of the session's cookie, or None when the key is not valid."""
    key = find_key(session, text)
    return None if key is None else _open(session, key.id)


def find_login(session: Session, cookie: str) -> Key | None:
    """Find the valid key that a browser is logged in with."""
    key_id = logins.find_session(session, text_digest(cookie))
    return None if key_id is None else keys.get_valid(session, key_id)


def log_out(session: Session, cookie: str) -> None:
    """End a browser's session."""
    logins.remove_session(session, text_digest(cookie))


def _open(session: Session, key_id: int) -> str:
    logins.remove_expired(session)
    cookie = secrets.token_urlsafe(SECRET_BYTES)
    logins.add_session(session, text_digest(cookie), key_id, SESSION_TTL)
    return cookie
