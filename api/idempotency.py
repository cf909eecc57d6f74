"""Requests that may be sent twice and take effect once: the answer is stored in the transaction of the effect."""

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api.errors import problem
from api.refusals import Refusal
from studies import service
from studies.database import Session
from studies.service.answers import Answer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""Header of an answer that was given before."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=200,
        pattern="^[ -~]+$",
        description="Sent again with the same request within a day, gives the same answer without a second effect.",
    ),
]


class AnsweredBefore(Exception):
    """The request took effect before; raised through the route, so that its transaction is rolled back."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Promise:
    """An answer that the request's transaction has still to store."""

    session: Session
    owner: str
    key: str

    def keep(self, response: Response) -> None:
        """Store ``response``; the body of one that no cache may store is left out, for it is a secret."""
        secret = "no-store" in response.headers.get("Cache-Control", "")
        body = None if secret else bytes(response.body)
        answer = Answer(response.status_code, response.headers.get("Content-Type"), body)
        service.store_answer(self.session, self.owner, self.key, answer)


class IdempotentRoute(APIRoute):
    """A route that stores its answer before its transaction is committed, where the request bears a key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI makes, and the storing after it; the commit follows, and then the response."""
        handle = super().get_route_handler()

        async def handle_and_store(request: Request) -> Response:
            response = await handle(request)
            promise: Promise | None = getattr(request.state, "promise", None)
            if promise is not None:
                await run_in_threadpool(promise.keep, response)
            return response

        return handle_and_store


async def request_digest(request: Request, key: IdempotencyKey = None) -> str | None:
    """SHA-256 of what makes a request the same one; None when it bears no key."""
    if key is None:
        return None
    head = [request.method, request.url.path, request.url.query, request.headers.get("Content-Type", "")]
    digest = hashlib.sha256("\0".join([*head, ""]).encode())
    digest.update(await request.body())
    return digest.hexdigest()


def begin(request: Request, session: Session, owner: str, key: str, digest: str) -> None:
    """Let the route promise its answer.

    Raises:
        AnsweredBefore: it was given before.
        Refusal: the key belongs to another request.
    """
    answer = service.begin_answer(session, owner, key, digest)
    if answer is not None:
        raise AnsweredBefore(answer)
    request.state.promise = Promise(session, owner, key)


def install_replay(app: FastAPI) -> None:
    """Let ``app`` give an answer again."""

    @app.exception_handler(AnsweredBefore)
    async def _replay(request: Request, before: AnsweredBefore) -> Response:
        answer = before.answer
        if answer.body is None:
            reason = "this request took effect before, and its answer was secret or too long to be kept"
            return problem(Refusal(HTTPStatus.CONFLICT, HEADER, reason, "look at what is there now"), request)
        return Response(answer.body, answer.status, {REPLAYED: "true"}, answer.media_type)
