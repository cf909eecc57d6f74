"""What a route is given: the settings, the owner, and a session whose transaction ends before the response starts.

The commit is the exit of a dependency with ``scope="function"``. FastAPI runs that after the route has returned and its
answer is serialised, and before the first byte is sent, so that whoever reads an answer reads what is stored, and a
failed commit is an error instead of a success. The default scope, "request", would commit after the response.
"""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request

from api.authentication import IdentityGiven
from api.idempotency import IdempotencyKey, begin, request_digest
from api.settings import Settings
from studies.database import Database, Session


async def get_settings(request: Request) -> Settings:
    """The settings that the application was created with."""
    settings: Settings = request.app.state.settings
    return settings


async def get_database(request: Request) -> Database:
    """The application's database."""
    database: Database = request.app.state.database
    return database


async def get_owner(identity: IdentityGiven) -> str:
    """Whose rows the request may see."""
    return identity.owner


def open_session(
    request: Request,
    database: Annotated[Database, Depends(get_database)],
    owner: Annotated[str, Depends(get_owner)],
    digest: Annotated[str | None, Depends(request_digest)],
    key: IdempotencyKey = None,
) -> Iterator[Session]:
    """A transaction that may write; committed before the response, rolled back on an exception."""
    with database.session() as session:
        if key is not None and digest is not None:
            begin(request, session, owner, key, digest)
        yield session


def open_read_session(database: Annotated[Database, Depends(get_database)]) -> Iterator[Session]:
    """A transaction that only reads."""
    with database.read_session() as session:
        yield session


SettingsGiven = Annotated[Settings, Depends(get_settings)]
OwnerGiven = Annotated[str, Depends(get_owner)]
WriteSession = Annotated[Session, Depends(open_session, scope="function")]
ReadSession = Annotated[Session, Depends(open_read_session, scope="function")]
