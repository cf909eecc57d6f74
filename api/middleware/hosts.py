"""Answers only to names of this server: a page elsewhere could let its own name point here (DNS rebinding)."""

import ipaddress
import re
from collections.abc import Collection

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import problem
from api.refusals import unknown_host

HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:@/?#\[\]\s]+))(?::\d{1,5})?")


class Hosts:
    """ASGI middleware that answers 421 to a Host that is neither an address, nor localhost, nor allowed.

    An IP address is always right: whoever asks for it has no name that could be pointed elsewhere.
    """

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self.app = app
        self.allowed = frozenset({"localhost", *(name.lower() for name in allowed)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless it is for somebody else."""
        if scope["type"] == "http":
            request = Request(scope)
            host = request.headers.get("Host", "")
            if not self._is_ours(host):
                await problem(unknown_host(host), request)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        parts = HOST.fullmatch(host)
        if parts is None:
            return False
        name = parts["v6"] or parts["name"].lower().removesuffix(".")
        return name in self.allowed or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
