"""The events of a study as the client reads them: one sequence, across connections that break."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import httpx_sse

from model.errors import FormularyError

RECONNECT_AFTER_S = 1.0
"""Pause before a broken connection is made anew (assumed)."""
PATIENCE_S = 60.0
"""How long a server may not answer before it counts as gone (assumed: longer than a restart)."""
BUSY = frozenset({httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT})
"""Statuses that pass, of the server or of a proxy before it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a study."""

    kind: str
    """``trial``, ``value``, ``formulas``, ``study`` or ``end``; see docs/api.md."""
    data: dict[str, Any]
    last_id: str
    """Where to go on from; empty before the first id."""


class EventReader:
    """Reads the events below ``path`` from after ``last_id`` up to the one named ``end``; an iterator.

    What the server sends twice around a break comes twice.

    Raises:
        httpx.HTTPStatusError: (by the iteration) the server refuses.
        FormularyError: (by the iteration) it has not answered for ``PATIENCE_S``.
    """

    def __init__(self, http: httpx.Client, path: str, last_id: str = "") -> None:
        self._http = http
        self._path = path
        self._last_id = last_id
        self._lost_at: float | None = None

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                for event in self._connection():
                    yield event
                    if event.kind == "end":
                        return
                self._wait("the stream broke off")
            except httpx.TransportError as error:
                self._wait(error)
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in BUSY:
                    raise
                self._wait(error)

    def _connection(self) -> Iterator[Event]:
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        with httpx_sse.connect_sse(self._http, "GET", self._path, headers=headers) as source:
            if source.response.is_error:
                source.response.read()
                source.response.raise_for_status()
            self._lost_at = None
            for sent in source.iter_sse():
                self._last_id = sent.id or self._last_id
                if not sent.data:
                    continue  # a ping: the decoder makes an event of every comment after an id
                yield Event(sent.event, json.loads(sent.data), self._last_id)

    def _wait(self, reason: object) -> None:
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        if now - self._lost_at > PATIENCE_S:
            where = f"no events from {self._http.base_url} for {PATIENCE_S:g} s"
            raise FormularyError(f"{where} ({reason}); is its server running?")
        time.sleep(RECONNECT_AFTER_S)
