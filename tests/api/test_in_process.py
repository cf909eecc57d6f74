"""The in-process transport: an ASGI application answers synchronous httpx as a server would."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from api.transport.in_process import InProcessTransport

CHUNKS = 100
app = FastAPI()
produced: list[int] = []


@app.post("/echo/{name:path}")
async def echo(name: str, request: Request) -> dict[str, str]:
    return {"name": name, "query": str(request.query_params), "body": (await request.body()).decode()}


@app.get("/stream")
def stream() -> StreamingResponse:
    def chunks() -> Iterator[bytes]:
        for number in range(CHUNKS):
            produced.append(number)
            yield b"x" * 1000

    return StreamingResponse(chunks())


@app.get("/broken")
def broken() -> None:
    raise RuntimeError("before the response")


@app.get("/cut")
def cut() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("in the middle")

    return StreamingResponse(chunks())


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    produced.clear()
    with httpx.Client(transport=InProcessTransport(app), base_url="http://test") as client:
        yield client


def test_carries_path_query_and_body(http: httpx.Client) -> None:
    answer = http.post("/echo/a b/ü", params={"q": "1 2"}, content="käse")
    assert answer.json() == {"name": "a b/ü", "query": "q=1+2", "body": "käse"}


def test_streams_without_collecting(http: httpx.Client) -> None:
    with http.stream("GET", "/stream") as answer:
        first = next(answer.iter_raw())
        assert first == b"x" * 1000
        assert len(produced) < CHUNKS / 2
    assert len(produced) < CHUNKS


def test_delivers_the_whole_stream(http: httpx.Client) -> None:
    assert http.get("/stream").content == b"x" * 1000 * CHUNKS


def test_a_closed_response_does_not_block_the_next_request(http: httpx.Client) -> None:
    for _ in range(3):
        with http.stream("GET", "/stream") as answer:
            next(answer.iter_raw())
    assert http.post("/echo/on").json()["name"] == "on"


def test_raises_what_the_application_raises(http: httpx.Client) -> None:
    with pytest.raises(RuntimeError, match="before the response"):
        http.get("/broken")


def test_raises_what_cuts_a_response_short(http: httpx.Client) -> None:
    with pytest.raises(RuntimeError, match="in the middle"):
        http.get("/cut")
