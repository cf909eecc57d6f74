"""Requests whose answer was lost are sent again; those that act bear a key by which the server acts once."""

import secrets

import httpx

_LOST = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
"""The connection broke before an answer came, e.g. because a kept one was just being closed."""


class RepeatingTransport(httpx.HTTPTransport):
    """HTTP that sends a request a second time when the connection breaks before its answer."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; raises ``httpx.TransportError`` when the second try fails, too."""
        if request.method == "POST":
            request.headers.setdefault("Idempotency-Key", secrets.token_hex(16))
        try:
            return super().handle_request(request)
        except _LOST:
            return super().handle_request(request)
