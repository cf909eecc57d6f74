"""Synchronous httpx over an ASGI application in this process: the same requests, without a socket."""

from collections.abc import Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import anyio
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.types import ASGIApp, Message, Scope


class InProcessTransport(httpx.BaseTransport):
    """Runs every request on an event loop in a thread of its own; bodies of responses are streamed, not collected.

    Give it to an ``httpx.Client`` that is used as a context manager, which starts and ends the thread.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._portal_manager = start_blocking_portal()
        self._portal: BlockingPortal

    def __enter__(self) -> Self:
        self._portal = self._portal_manager.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._portal_manager.__exit__(exc_type, exc_value, traceback)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` through the application; whatever it raises is raised here."""
        sender, receiver = anyio.create_memory_object_stream[Message](0)
        body = request.read()
        gone = self._portal.call(anyio.Event)
        finished = self._portal.start_task_soon(_answer, self._app, request, body, sender, gone)
        try:
            head = self._portal.call(receiver.receive)
        except anyio.EndOfStream:
            finished.result()
            raise
        stream = _Body(self._portal, receiver, finished, gone)
        return httpx.Response(head["status"], headers=head["headers"], stream=stream, request=request)


async def _answer(
    app: ASGIApp, request: httpx.Request, body: bytes, sender: MemoryObjectSendStream[Message], gone: anyio.Event
) -> None:
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if unread:
            return unread.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async with sender:
        await app(_scope(request), receive, sender.send)


class _Body(httpx.SyncByteStream):
    """Chunks of a response, taken from the event loop one at a time."""

    def __init__(
        self,
        portal: BlockingPortal,
        receiver: MemoryObjectReceiveStream[Message],
        finished: Future[None],
        gone: anyio.Event,
    ) -> None:
        self._portal = portal
        self._receiver = receiver
        self._finished = finished
        self._gone = gone

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                yield self._portal.call(self._receiver.receive).get("body", b"")
            except anyio.EndOfStream:
                break
        self._finished.result()

    def close(self) -> None:
        """Take no more: the application hears that the client has gone, and its next send fails."""
        self._portal.call(self._gone.set)
        self._portal.call(self._receiver.aclose)


def _scope(request: httpx.Request) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "server": (request.url.host, request.url.port),
        "client": ("in-process", 0),
        "root_path": "",
    }
