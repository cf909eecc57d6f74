"""The HTTP server: uvicorn on a socket that is already bound, in a thread beside the one that waits for signals."""

import errno
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGTERM

import uvicorn
from fastapi import FastAPI

from model.errors import FormularyError, InvalidInput

BACKLOG = 2048
"""Connections that wait to be accepted (uvicorn's default)."""
DRAIN_S = 3
"""How long requests may go on once the service is told to end, in seconds (assumed: reads take milliseconds)."""
LOOK_EVERY_S = 0.005
"""Pause between two looks whether the server has started."""

_REFUSALS = {
    errno.EADDRINUSE: ("--port", "is in use", "choose another with --port, or 0 for any free one"),
    errno.EACCES: ("--port", "may not be used by this user", "choose one above 1023"),
    errno.EADDRNOTAVAIL: ("--host", "is no address of this machine", "use 127.0.0.1, or an address of this machine"),
}


def bind(host: str, port: int) -> socket.socket:
    """Bind a listening socket; port 0 is any free one.

    Raises:
        InvalidInput: the address is not known, not this machine's, or in use.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise InvalidInput("--host", f"{host!r} is not known ({error})", "use 127.0.0.1") from error
    try:
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        field, reason, remedy = _REFUSALS[error.errno]
        raise InvalidInput(field, f"port {port} of {host} {reason}", remedy) from error
    # Connections inherit it. asyncio sets it for sockets that name their protocol alone, and without it the second
    # packet of an answer waits 40 ms for the client's acknowledgement of the first (measured).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def base_url(listener: socket.socket) -> str:
    """Where processes of this machine reach the socket."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        return f"http://127.0.0.1:{port}" if address.version == 4 else f"http://[::1]:{port}"
    return f"http://{host}:{port}" if address.version == 4 else f"http://[{host}]:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches the socket."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


@contextmanager
def serving(app: FastAPI, listener: socket.socket) -> Iterator[threading.Event]:
    """Serve ``app`` from the entry of the block, which waits until it answers, to its end; what is set when it ended.

    It is no thread to join: a join that a signal interrupts takes the thread for ended (CPython 3.11, measured).

    Raises:
        FormularyError: the application did not start.
    """
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,  # it would keep log-in codes
        proxy_headers=False,  # nobody in front is trusted to say who asks
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        backlog=BACKLOG,
    )
    server = uvicorn.Server(config)
    ended = threading.Event()
    threading.Thread(target=_run, args=(server, listener, ended), name="http", daemon=True).start()
    try:
        _wait_until_started(server, ended)
        yield ended
    finally:
        server.handle_exit(SIGTERM, None)  # event streams listen for it, too
        ended.wait()


def _run(server: uvicorn.Server, listener: socket.socket, ended: threading.Event) -> None:
    try:
        server.run([listener])
    finally:
        ended.set()


def _wait_until_started(server: uvicorn.Server, ended: threading.Event) -> None:
    while not server.started:
        if ended.wait(LOOK_EVERY_S):
            raise FormularyError("the service did not start; its log says why")
