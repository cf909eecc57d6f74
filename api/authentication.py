"""Who asks: every request but a few public ones needs a key, which is checked before its body is read."""

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.responses import RedirectResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from api.browser import COOKIE, require_own_origin, wants_page
from api.errors import problem
from api.refusals import Refusal, no_key, role_too_low
from model.errors import FormularyError
from studies import service
from studies.database import Database, Session
from studies.errors import DatabaseUnusable
from studies.records import Key, Role

PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/login", "/logout"})
PUBLIC_FOLDERS = ("/static/",)
"""Whatever is not listed here needs a key, a route that does not exist included."""
RANK = {Role.READ: 0, Role.WRITE: 1, Role.ADMIN: 2}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SCHEME = "bearer "
BEARER = HTTPBearer(auto_error=False, scheme_name="key", description="A key that 'formulary key create' printed.")
"""Tells OpenAPI how a key is sent."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose rows a request may see, and what it may do."""

    owner: str
    role: Role
    key_id: int | None = None
    """The key behind it, by which a long answer can check that it is still valid; None in this process."""

    def require(self, role: Role) -> None:
        """Go on only with ``role`` or more.

        Raises:
            Refusal: the role is less.
        """
        if RANK[self.role] < RANK[role]:
            raise role_too_low(role, self.role)


TRUSTED = Identity("local", Role.ADMIN)
"""Who works on the database of an own home, in this process."""


class Authentication:
    """ASGI middleware that finds the identity behind a request, or answers 401 or 403.

    Args:
        app: what comes after.
        database: where the keys are.
        trusted: whether everybody who gets here is ``TRUSTED``, as in an application without a socket.
    """

    def __init__(self, app: ASGIApp, database: Database, trusted: bool) -> None:
        self.app = app
        self.database = database
        self.trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its identity, unless it is refused."""
        if scope["type"] == "lifespan" or is_public(scope["path"]):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            key = None if self.trusted else await run_in_threadpool(self._find_key, request)
            identity = TRUSTED if key is None else Identity(key.owner, key.role, key.id)
            identity.require(Role.READ if request.method in SAFE_METHODS else Role.WRITE)
        except FormularyError as error:
            await _refused(error, request)(scope, receive, send)
            return
        request.state.identity = identity
        await self.app(scope, receive, send)
        if key is not None and service.use_is_due(key):
            await run_in_threadpool(self._note_use, key)

    def _find_key(self, request: Request) -> Key:
        given = request.headers.get("Authorization")
        cookie = request.cookies.get(COOKIE)
        if given is None and cookie is None:
            raise no_key("no key was sent")
        with self.database.read_session() as session:
            key = service.find_login(session, cookie or "") if given is None else _key_sent(session, given)
        if key is None:
            raise no_key("this is not a valid key" if given is not None else "the browser is not logged in any more")
        if given is None and request.method not in SAFE_METHODS:
            require_own_origin(request)
        return key

    def _note_use(self, key: Key) -> None:
        """The request was answered by now: a database that takes no writes spoils nothing of it."""
        try:
            with self.database.session() as session:
                service.note_use(session, key)
        except DatabaseUnusable as error:
            log.warning("the use of key %d is not noted: %s", key.id, error)


def _key_sent(session: Session, header: str) -> Key | None:
    return service.find_key(session, header[len(SCHEME) :].strip()) if header.lower().startswith(SCHEME) else None


def _refused(error: FormularyError, request: Request) -> Response:
    """A problem; a browser that wants a page and is not logged in is sent where it can log in."""
    if wants_page(request) and isinstance(error, Refusal) and error.status is HTTPStatus.UNAUTHORIZED:
        return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    return problem(error, request)


def is_public(path: str) -> bool:
    """Whether a path answers without a key."""
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_FOLDERS)


async def get_identity(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)] = None
) -> Identity:
    """Who asks."""
    identity: Identity | None = getattr(request.state, "identity", None)
    if identity is None:
        raise no_key("no key was sent")
    return identity


async def get_admin(identity: Annotated[Identity, Depends(get_identity)]) -> Identity:
    """Who asks, being an admin."""
    identity.require(Role.ADMIN)
    return identity


IdentityGiven = Annotated[Identity, Depends(get_identity)]
AdminGiven = Annotated[Identity, Depends(get_admin)]
