"""Following a study: the client across broken connections, the translation into a search's events, the command."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from api.client import Client, RequestError
from api.terminal.watching import Translator
from api.transport import events as event_client
from api.transport.events import Event
from model.errors import FormularyError
from search.events import AttemptLost, TrialCompleted, TrialEvent, TrialFailed, TrialProgress, TrialStarted
from studies.database import Database
from studies.records import StudyState, TrialState
from studies.repository import attempts, studies

DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_client, "RECONNECT_AFTER_S", 0.0)


class Broken(httpx.SyncByteStream):
    """A body that ends with a broken connection."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.ReadError("the connection is reset")


def sent(kind: str, id: int | None = None, **data: Any) -> bytes:
    head = "" if id is None else f"id: {id}\r\n"
    return f"{head}event: {kind}\r\ndata: {json.dumps(data)}\r\n\r\n".encode()


def client(answers: list[httpx.Response | Exception], asked: list[str | None]) -> Client:
    """A client whose server gives these answers, one a connection; ``asked`` collects where they were to begin."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Last-Event-ID"))
        given = answers.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://test")
    return Client(http, lambda client, operation_id: None)


def stream(content: bytes | Broken) -> httpx.Response:
    headers = {"Content-Type": "text/event-stream"}
    return httpx.Response(
        200, headers=headers, **({"stream": content} if isinstance(content, Broken) else {"content": content})
    )


def test_goes_on_where_the_connection_broke() -> None:
    first = sent("trial", number=0) + sent("study", id=7, state="RUNNING") + sent("value", number=0)
    last = sent("value", number=0) + sent("study", id=9, state="COMPLETED") + sent("end", state="COMPLETED")
    answers = [stream(Broken(first)), httpx.ConnectError("refused"), httpx.Response(503), stream(b""), stream(last)]
    asked: list[str | None] = []
    events = list(client(answers, asked).events(3))
    assert asked == [None, "7", "7", "7", "7"]
    assert [event.kind for event in events] == ["trial", "study", "value", "value", "study", "end"]
    assert events[1].data == {"state": "RUNNING"}


def test_begins_after_an_id() -> None:
    asked: list[str | None] = []
    (end,) = client([stream(sent("end", state="FAILED"))], asked).events(3, "12")
    assert (asked, end) == (["12"], Event("end", {"state": "FAILED"}, "12"))


def test_a_refusal_is_said() -> None:
    content = json.dumps({"detail": "there is no study 3"})
    refusal = httpx.Response(404, headers={"Content-Type": "application/problem+json"}, text=content)
    with pytest.raises(RequestError, match="there is no study 3"):
        list(client([refusal], []).events(3))


def test_a_server_that_stays_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_client, "PATIENCE_S", -1.0)
    with pytest.raises(FormularyError, match=r"refused.*is its server running"):
        list(client([httpx.ConnectError("refused")], []).events(3))


def trial(number: int, state: str, attempts: int = 1, **further: Any) -> Event:
    shown = {"parameters": {"depth": 2}, "attributes": {}, "metrics": {}, "reason": None}
    return Event("trial", {"number": number, "state": state, "attempts": attempts, **shown, **further}, "")


def value(number: int, metric: str = "bits_per_byte") -> Event:
    return Event("value", {"number": number, "step": 10, "metric": metric, "value": 3.0}, "")


def translated(*events: Event) -> list[TrialEvent]:
    translate = Translator("bits_per_byte", [9])
    return [happened for event in events for happened in translate(event)]


STARTED = TrialStarted(0, {"depth": 2}, {})
COMPLETED = TrialCompleted(0, {"bits_per_byte": 2.0}, {})


def test_a_trial_is_translated_once() -> None:
    complete = trial(0, "COMPLETE", metrics={"bits_per_byte": 2.0})
    events = translated(trial(0, "RUNNING"), value(0), value(0, "validation_loss"), complete, complete, value(0))
    assert events == [STARTED, TrialProgress(0, 10, {"bits_per_byte": 3.0}), COMPLETED]


def test_what_had_ended_before_is_left_out() -> None:
    assert translated(trial(9, "COMPLETE"), value(9), Event("formulas", {"revision": 1}, "")) == []


def test_a_trial_that_begins_and_ends_between_two_looks() -> None:
    assert translated(trial(0, "FAIL", reason="diverged")) == [STARTED, TrialFailed(0, "diverged")]


@pytest.mark.parametrize("waiting", [[trial(0, "WAITING")], []])
def test_a_lost_attempt_starts_anew(waiting: list[Event]) -> None:
    events = translated(trial(0, "RUNNING"), *waiting, trial(0, "RUNNING", attempts=2))
    assert events == [STARTED, AttemptLost(0, "it was cut off"), STARTED]


Formulary = Callable[..., Result]


@pytest.fixture
def formulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Formulary:
    monkeypatch.setenv("FORMULARY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FORMULARY_DATABASE_URL", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a watcher asks for events, having listed the trials."""
    begun, events = threading.Event(), Client.events

    def asked(self: Client, study_id: int) -> Iterator[Event]:
        begun.set()
        return events(self, study_id)

    monkeypatch.setattr(Client, "events", asked)
    return begun


def test_watches_a_study_to_its_end(formulary: Formulary, spec: Path, tmp_path: Path, begun: threading.Event) -> None:
    study = int(formulary("study", "create", spec).stdout.splitlines()[-1])
    results: list[Result] = []
    watcher = threading.Thread(target=lambda: results.append(formulary("study", "watch", study)))
    with Database(f"sqlite:///{tmp_path}/home/formulary.db") as database:
        now = datetime.now(UTC)
        with database.session() as session:
            studies.set_state(session, study, StudyState.RUNNING)
            attempts.start(session, study, 0, {"depth": 1, "learning_rate": 1e-3}, {}, now)
        watcher.start()
        assert begun.wait(DEADLINE_S)
        with database.session() as session:
            attempts.finish(session, study, 0, TrialState.COMPLETE, {"bits_per_byte": 2.5}, {}, None, now)
            studies.set_state(session, study, StudyState.COMPLETED, finished_at=now)
        watcher.join(DEADLINE_S)
    (result,) = results
    assert result.exit_code == 0, result.output
    assert "[1 of 9] trial 0 complete: bits_per_byte 2.5 depth=1 learning_rate=0.001" in result.stderr
    assert "best trial 0" in result.stdout


def test_a_failed_study_ends_the_watch_with_its_error(formulary: Formulary, spec: Path, tmp_path: Path) -> None:
    study = int(formulary("study", "create", spec).stdout.splitlines()[-1])
    with Database(f"sqlite:///{tmp_path}/home/formulary.db") as database, database.session() as session:
        studies.set_state(session, study, StudyState.FAILED, error="no trial completed")
    result = formulary("study", "watch", study)
    assert (result.exit_code, result.stderr) == (1, f"error: study {study} failed: no trial completed\n")


def test_clones_a_study_and_prints_its_id(formulary: Formulary, spec: Path) -> None:
    study = formulary("study", "create", spec).stdout.splitlines()[-1]
    refused = formulary("study", "clone", study)
    assert refused.exit_code == 1
    assert "corpus" in refused.stderr
    clone = formulary("study", "clone", study, "--corpus-root", spec.parent)
    assert clone.exit_code == 0, clone.output
    assert int(clone.stdout.splitlines()[-1]) > int(study)
