"""The socket that the service listens on."""

import socket

import pytest

from api.server.http import base_url, bind, is_loopback
from model.errors import InvalidInput


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_answers_wait_for_no_acknowledgement(host: str) -> None:
    with bind(host, 0) as listener:
        with socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
            accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_says_where_it_is_reached() -> None:
    with bind("127.0.0.1", 0) as listener, bind("0.0.0.0", 0) as everywhere:
        assert base_url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert base_url(everywhere) == f"http://127.0.0.1:{everywhere.getsockname()[1]}"
        assert is_loopback(listener)
        assert not is_loopback(everywhere)


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with bind("127.0.0.1", 0) as listener, pytest.raises(InvalidInput, match="--port"):
        bind("127.0.0.1", listener.getsockname()[1])
