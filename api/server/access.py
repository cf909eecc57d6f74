"""What lets a person or a command into the service of this home: its key, and links that log a browser in."""

from urllib.parse import quote

from model.errors import InvalidInput
from studies import service
from studies.database import Database
from studies.records import Role

OWNER = "local"
"""Whose key the service makes: the one whose rows commands without a server work on."""
KEY_NAME = "formulary serve"


def own_key(database: Database, known: str | None) -> str:
    """The admin key of this home: ``known`` as long as it opens the service, else a new one."""
    with database.session() as session:
        key = service.find_key(session, known) if known is not None else None
        if known is not None and key is not None and key.role is Role.ADMIN:
            return known
        return service.create_key(session, OWNER, Role.ADMIN, KEY_NAME)[1]


def login_link(database: Database, base_url: str, key: str) -> str:
    """A link that logs a browser in, once, with what ``key`` allows.

    Raises:
        InvalidInput: the key does not open the service.
    """
    with database.session() as session:
        found = service.find_key(session, key)
        if found is None:
            raise InvalidInput("server.json", "its key is not in this database", "give the service's --database-url")
        code = service.create_login_code(session, found.id)
    return f"{base_url}/login?code={quote(code)}"
