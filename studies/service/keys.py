"""API keys: made, listed, revoked, and found by what a client sends."""

import re
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies.digest import text_digest
from studies.errors import NotFound
from studies.records import Key, Role
from studies.repository import keys, logins, owners
from studies.service.studies import check_name

KEY_BYTES = 32
"""256 random bits: nobody guesses one, so that a digest without salt or stretching protects it."""
MARK = "fml_"
"""How every key starts, so that people and scanners recognise one that leaked."""
PREFIX_LENGTH = 8
"""Characters of a key that stay readable: 24 of its 256 bits (derived)."""
USE_NOTED_EVERY = timedelta(minutes=1)
"""How old ``last_used_at`` may be before it is written again (assumed)."""
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,199}")


def create_key(session: Session, owner: str, role: Role, name: str) -> tuple[Key, str]:
    """Make a key for ``owner``, who need not exist yet.

    Returns:
        Its record, and the key itself, which is not stored and cannot be shown again.

    Raises:
        InvalidInput: the owner or the name cannot be stored and shown.
    """
    if not OWNER.fullmatch(owner):
        remedy = "give 1 to 200 letters, digits or . _ @ -, a letter or digit first"
        raise InvalidInput("owner", f"{owner[:50]!r} cannot be an owner", remedy)
    check_name(name)
    now = datetime.now(UTC)
    owners.ensure(session, owner, now)
    text = MARK + secrets.token_urlsafe(KEY_BYTES)
    return keys.add(session, owner, role, name, text[:PREFIX_LENGTH], text_digest(text), now), text


def find_key(session: Session, text: str) -> Key | None:
    """Find the valid key with this text; the time it takes says nothing about the keys that there are."""
    return keys.find_valid(session, text_digest(text))


def is_valid_key(session: Session, key_id: int) -> bool:
    """Whether a key that was found before is still valid."""
    return keys.get_valid(session, key_id) is not None


def list_keys(session: Session, before_id: int | None, size: int) -> list[Key]:
    """List keys of every owner, revoked ones too, newest first."""
    return keys.page(session, before_id, size)


def revoke_key(session: Session, key_id: int) -> None:
    """End a key, and the browser sessions that were opened with it.

    Raises:
        NotFound: there is no such key.
    """
    if not keys.revoke(session, key_id, datetime.now(UTC)):
        raise NotFound(f"there is no key {key_id}")
    logins.remove_of_key(session, key_id)


def use_is_due(key: Key) -> bool:
    """Whether ``note_use`` would add anything."""
    return key.last_used_at is None or datetime.now(UTC) - key.last_used_at > USE_NOTED_EVERY


def note_use(session: Session, key: Key) -> None:
    """Note that a key was used now."""
    keys.set_used(session, key.id, datetime.now(UTC))
