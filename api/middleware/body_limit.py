"""Refuses request bodies that are too long, before they are held in memory."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem
from api.limits import MAX_DOCUMENT_BYTES, MAX_TABLE_BYTES
from api.refusals import BodyTooLong, too_long

TABLE_PATH = "/v1/studies:import"


class BodyLimit:
    """ASGI middleware that answers 413: at once where the length is announced, else when too many bytes have come."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = MAX_TABLE_BYTES if scope["path"] == TABLE_PATH else MAX_DOCUMENT_BYTES
        announced = Headers(scope=scope).get("Content-Length", "")
        if announced.isdecimal() and int(announced) > limit:
            await problem(too_long(limit), Request(scope))(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise BodyTooLong(limit)
            return message

        await self.app(scope, counted, send)
