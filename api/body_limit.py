"""Refuses request bodies that are too long, before they are held in memory."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 32 * 2**20
"""Longest request body (assumed: a table of 200 000 runs with ten columns)."""


class BodyLimit:
    """ASGI middleware that answers 413 as soon as more than ``limit`` bytes have arrived."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.limit:
                raise HTTPException(413, f"the body is longer than {self.limit} bytes; send fewer rows at a time")
            return message

        await self.app(scope, counted, send)
