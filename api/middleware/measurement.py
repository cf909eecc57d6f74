"""Counts requests and the time until their answers start."""

from http import HTTPStatus
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware.metrics import Metrics


class Measurement:
    """ASGI middleware that tells ``metrics`` about every request; how long a stream lasts is not measured."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        answered = False

        def count(status: int) -> None:
            route = getattr(scope.get("route"), "name", None)
            self.metrics.count(scope["method"], route, status, perf_counter() - started)

        async def counted(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                count(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception:
            if not answered:
                count(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
