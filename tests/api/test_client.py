"""The client against a server that the home names: its address, its key, and what goes wrong."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from api import client as module
from api.client import Client, RequestError, connect
from api.settings import Settings
from model.errors import FormularyError, InvalidInput
from studies.database import Database
from studies.records import Operation
from studies.workers import operations
from studies.workers.operation_queue import execute_next
from studies.workers.operations import execute_operation


class Server(BaseHTTPRequestHandler):
    """Answers what a server would, and remembers the keys it was given."""

    keys: set[str | None]
    states: list[str]

    def do_GET(self) -> None:
        self.keys.add(self.headers["Authorization"])
        if self.path == "/v1/operations/5":
            self._answer(200, {"id": 5, "state": self.states.pop(0), "error": "no space"})
        elif self.path.startswith("/v1/studies?"):
            page = "page_token=7" in self.path
            self._answer(200, {"studies": [{"id": 7 - page}], "next_page_token": None if page else "7"})
        else:
            self._answer(404, {"detail": "there is no study 9"}, "application/problem+json")

    def do_POST(self) -> None:
        self._answer(202, {"id": 3, "operation_id": 5, "study_id": 1})

    def _answer(self, status: int, document: object, media_type: str = "application/json") -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(settings: Settings) -> Iterator[type[Server]]:
    handler = type("Handler", (Server,), {"keys": set(), "states": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http_server:
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        point_to(settings, f"http://127.0.0.1:{http_server.server_port}")
        yield handler
        http_server.shutdown()


def point_to(settings: Settings, base_url: str) -> None:
    settings.home.mkdir(exist_ok=True)
    settings.server_file.write_text(json.dumps({"base_url": base_url, "key": "secret"}))


def test_speaks_to_the_server_with_its_key(settings: Settings, server: type[Server]) -> None:
    with connect(settings) as client:
        assert [study["id"] for study in client.list_studies()] == [7, 6]
    assert server.keys == {"Bearer secret"}
    assert not (settings.home / "formulary.db").exists()


def test_says_what_the_server_refuses(settings: Settings, server: type[Server]) -> None:
    with connect(settings) as client, pytest.raises(RequestError, match="there is no study 9"):
        client.get_study(9)


def test_waits_for_a_worker_and_says_why_it_failed(
    settings: Settings, server: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    server.states = ["PENDING", "RUNNING", "FAILED", "FAILED"]
    with connect(settings) as client, pytest.raises(FormularyError, match="export 3 failed: no space"):
        client.export(1, {"format": "hf"})
    assert server.states == []


def test_a_request_whose_answer_was_lost_is_sent_again_under_its_key(
    settings: Settings, server: type[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []

    def post(handler: Server) -> None:
        keys.append(handler.headers["Idempotency-Key"])
        if len(keys) == 1:
            handler.close_connection = True  # without an answer
        else:
            handler._answer(201, {"id": 3})

    monkeypatch.setattr(Server, "do_POST", post)
    with connect(settings) as client:
        assert client.create_study({"name": "x"})["id"] == 3
        client.create_study({"name": "x"})
    assert keys[0] == keys[1] != keys[2]


def test_a_server_that_is_gone_is_one_line(settings: Settings) -> None:
    point_to(settings, "http://127.0.0.1:9")
    with connect(settings) as client, pytest.raises(FormularyError, match="is its server running"):
        client.get_study(1)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"base_url": "http://x"}'])
def test_a_broken_server_file_is_refused(settings: Settings, text: str) -> None:
    settings.home.mkdir()
    settings.server_file.write_text(text)
    with pytest.raises(InvalidInput, match="base_url and key"), connect(settings):
        pass


def test_without_a_server_the_application_is_in_process(settings: Settings, table: bytes) -> None:
    with connect(settings) as client:
        assert client.import_study(table, "sweep", "bits_per_byte", "estimate")["id"] == 1
    with connect(settings) as client:
        assert [study["name"] for study in client.list_studies()] == ["sweep"]
        assert Path(settings.home / "formulary.db").is_file()


def test_an_export_that_a_worker_took_first_is_waited_for(
    settings: Settings, planted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_a_worker(database: Database, operation_id: int, storage: Path) -> Operation:
        monkeypatch.undo()
        assert execute_next(database, storage)
        return execute_operation(database, operation_id, storage)

    monkeypatch.setattr(operations, "execute_operation", after_a_worker)
    with connect(settings) as client:
        export = client.export(planted, {"format": "formulary"})
    assert export["state"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (200, b"<html>", "text/html"),
        (200, b"", "application/json"),
        (200, b"[]", "application/json"),
        (200, b"\xff\xfe\0", "application/json"),
        (302, b"", "text/html"),
        (422, b"{", "application/problem+json"),
        (422, b"[]", "application/problem+json"),
    ],
)
def test_whoever_has_the_address_now_is_not_taken_for_the_service(
    settings: Settings, status: int, content: bytes, kind: str
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers={"Content-Type": kind})

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://test") as http:
        client = Client(http, lambda *_: None)
        for call in (lambda: client.get_study(1), lambda: [*client.list_studies()], lambda: client.delete_study(1)):
            with pytest.raises(FormularyError, match="as no Formulary service does"):
                call()
