"""The one client: every command speaks HTTP, to a server or to the same application in this process."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from api.server.record import ServerRecord
from api.settings import Settings
from api.transport.repeating import RepeatingTransport
from model.errors import FormularyError

if TYPE_CHECKING:
    from api.transport.events import Event
    from studies.database import Database

Json = dict[str, Any]
PAGE_SIZE = 1000
TIMEOUT_S = 60.0
"""Longest wait for an answer (assumed; longer work is an operation)."""
POLL_S = 0.5
"""Pause between two looks at an operation that a worker executes (assumed)."""
FINISHED = frozenset({"SUCCEEDED", "FAILED"})


class RequestError(FormularyError):
    """The application answered with a problem document; the text is its detail."""


class Client:
    """Typed access to the API.

    Args:
        http: speaks to the application.
        execute: brings an operation to its end, given its id.

    Every method raises ``RequestError`` when the application refuses, and ``FormularyError`` when none answers.
    """

    def __init__(self, http: httpx.Client, execute: Callable[["Client", int], None]) -> None:
        self._http = http
        self._execute = execute

    def create_study(self, document: Mapping[str, Any]) -> Json:
        """Create a study from its spec."""
        return self._json("POST", "/v1/studies", json=document)

    def create_or_continue_study(self, document: Mapping[str, Any]) -> tuple[Json, bool]:
        """Create a study, or find the newest unfinished one of the same spec; whether it was created."""
        parameters = {"continue_unfinished": True}
        with self._opened("POST", "/v1/studies", json=document, params=parameters) as response:
            return _document(response), response.status_code == httpx.codes.CREATED

    def import_study(self, csv: bytes, name: str, objective: str, purpose: str) -> Json:
        """Create a completed study from a table of runs; ``objective`` is METRIC or METRIC:DIRECTION."""
        parameters = {"name": name, "objective": objective, "purpose": purpose}
        headers = {"Content-Type": "text/csv"}
        return self._json("POST", "/v1/studies:import", params=parameters, content=csv, headers=headers)

    def list_studies(self) -> Iterator[Json]:
        """All studies, newest first."""
        return self._pages("/v1/studies", "studies")

    def get_study(self, study_id: int) -> Json:
        """One study."""
        return self._json("GET", f"/v1/studies/{study_id}")

    def list_trials(self, study_id: int) -> Iterator[Json]:
        """All trials of a study, by number."""
        return self._pages(f"/v1/studies/{study_id}/trials", "trials")

    def list_values(self, study_id: int, number: int) -> list[Json]:
        """What the latest attempt at a trial reported while it ran, by step."""
        found: list[Json] = self._json("GET", f"/v1/studies/{study_id}/trials/{number}/values")["values"]
        return found

    def best_trials(self, study_id: int) -> Json:
        """The best trials and, of several objectives, the knee of their front; leaders on fresh seeds, compared."""
        return self._json("GET", f"/v1/studies/{study_id}/best-trials")

    def change_study(self, study_id: int, verb: str) -> Json:
        """Ask a study to pause, resume, stop or cancel."""
        return self._json("POST", f"/v1/studies/{study_id}:{verb}")

    def extend_study(self, study_id: int, trials: int) -> Json:
        """Give a study more trials."""
        return self._json("POST", f"/v1/studies/{study_id}:extend", json={"trials": trials})

    def enqueue_points(
        self, study_id: int, points: Sequence[Mapping[str, Any]], allow_duplicates: bool = False
    ) -> list[Json]:
        """Let a study try points before those of its sampler."""
        request = {"parameters": list(points), "allow_duplicates": allow_duplicates}
        added: list[Json] = self._json("POST", f"/v1/studies/{study_id}/trials:enqueue", json=request)["points"]
        return added

    def suggest_trials(self, study_id: int, client_id: str, count: int = 1, lease_seconds: int = 3600) -> Json:
        """Ask for trials to train elsewhere: those that the client has not ended, then others."""
        request = {"client_id": client_id, "count": count, "lease_seconds": lease_seconds}
        return self._json("POST", f"/v1/studies/{study_id}/trials:suggest", json=request)

    def report_values(self, study_id: int, number: int, step: int, values: Mapping[str, float]) -> Json:
        """Tell what a trial is worth at a step; the answer's ``stop`` says whether it is to end."""
        request = {"step": step, "values": dict(values)}
        return self._json("POST", f"/v1/studies/{study_id}/trials/{number}:report", json=request)

    def complete_trial(self, study_id: int, number: int, **told: Any) -> Json:
        """End a trial that was trained elsewhere: ``metrics`` and ``attributes``, or ``failed`` with the reason."""
        return self._json("POST", f"/v1/studies/{study_id}/trials/{number}:complete", json=told)

    def delete_study(self, study_id: int) -> None:
        """Delete a study with its trials, formulas and exports."""
        self._delete(f"/v1/studies/{study_id}")

    def list_formulas(self, study_id: int, others: Sequence[int] = ()) -> list[Json]:
        """The newest formulas of a study, or those of several studies together."""
        parameters = {"with": list(others)}
        formulas: list[Json] = self._json("GET", f"/v1/studies/{study_id}/formulas", params=parameters)["formulas"]
        return formulas

    def suggest_study(self, study_id: int, kind: str | None) -> Json:
        """A spec whose trials would decide a formula."""
        parameters = {} if kind is None else {"kind": kind}
        return self._json("GET", f"/v1/studies/{study_id}/suggestion", params=parameters)

    def recipe(self, study_id: int, request: Mapping[str, Any]) -> Json:
        """A full-training config with its sources: that of a trial, or for a target."""
        return self._json("GET", f"/v1/studies/{study_id}/recipe", params=request)

    def preset_recipe(self, preset: str, request: Mapping[str, Any]) -> Json:
        """A full-training config for a target from published findings."""
        return self._json("GET", f"/v1/presets/{quote(preset, safe='')}/recipe", params=request)

    def export(self, study_id: int, request: Mapping[str, Any]) -> Json:
        """Write an export and wait for it."""
        export = self._json("POST", f"/v1/studies/{study_id}/exports", json=request)
        self._execute(self, export["operation_id"])
        operation = self.get_operation(export["operation_id"])
        if operation["state"] != "SUCCEEDED":
            raise FormularyError(f"export {export['id']} failed: {operation['error']}")
        return self._json("GET", f"/v1/studies/{study_id}/exports/{export['id']}")

    def plan_validation(self, study_id: int, request: Mapping[str, Any]) -> Json:
        """Say what a validation would train and cost."""
        return self._json("GET", f"/v1/studies/{study_id}/validation-plan", params=request)

    def create_or_continue_validation(self, study_id: int, request: Mapping[str, Any]) -> tuple[Json, bool]:
        """Create a validation, or find the newest of this request that still runs; whether it was created."""
        path, parameters = f"/v1/studies/{study_id}/validations", {"continue_unfinished": True}
        with self._opened("POST", path, json=request, params=parameters) as response:
            return _document(response), response.status_code == httpx.codes.CREATED

    def list_validations(self, study_id: int) -> list[Json]:
        """The newest validations of a study's recipe, newest first."""
        found: list[Json] = self._json("GET", f"/v1/studies/{study_id}/validations")["validations"]
        return found

    def get_validation(self, study_id: int, validation_id: int) -> Json:
        """One validation, judged by its trials as they are now."""
        return self._json("GET", f"/v1/studies/{study_id}/validations/{validation_id}")

    def plan_campaign(self, request: Mapping[str, Any]) -> Json:
        """Say what a campaign would train and cost."""
        return self._json("POST", "/v1/campaigns:plan", json=request)

    def create_campaign(self, request: Mapping[str, Any]) -> Json:
        """Create a campaign from a preset or a document."""
        return self._json("POST", "/v1/campaigns", json=request)

    def create_or_continue_campaign(self, request: Mapping[str, Any]) -> tuple[Json, bool]:
        """Create a campaign, or find the newest unfinished one of the same document; whether it was created."""
        parameters = {"continue_unfinished": True}
        with self._opened("POST", "/v1/campaigns", json=request, params=parameters) as response:
            return _document(response), response.status_code == httpx.codes.CREATED

    def list_campaigns(self) -> Iterator[Json]:
        """All campaigns, newest first, without their stages."""
        return self._pages("/v1/campaigns", "campaigns")

    def get_campaign(self, campaign_id: int) -> Json:
        """One campaign, as its studies are now."""
        return self._json("GET", f"/v1/campaigns/{campaign_id}")

    def get_ladder(self, campaign_id: int) -> Json:
        """What each rung of a campaign came to, what each step brought, and what the campaign cost so far."""
        return self._json("GET", f"/v1/campaigns/{campaign_id}/ladder")

    def change_campaign(self, campaign_id: int, verb: str) -> Json:
        """Ask a campaign to pause or cancel."""
        return self._json("POST", f"/v1/campaigns/{campaign_id}:{verb}")

    def resume_campaign(self, campaign_id: int, stages: Mapping[str, Any] | None = None) -> Json:
        """Let a campaign go on; ``stages`` are other studies for stages that failed, by name."""
        body = {"json": {"stages": dict(stages)}} if stages else {}
        return self._json("POST", f"/v1/campaigns/{campaign_id}:resume", **body)

    def delete_campaign(self, campaign_id: int) -> None:
        """Delete a campaign that has ended; its studies stay."""
        self._delete(f"/v1/campaigns/{campaign_id}")

    def get_operation(self, operation_id: int) -> Json:
        """One operation."""
        return self._json("GET", f"/v1/operations/{operation_id}")

    def create_key(self, role: str, name: str, owner: str | None) -> Json:
        """Make a key; the answer's ``key`` is never shown again."""
        return self._json("POST", "/v1/keys", json={"role": role, "name": name, "owner": owner})

    def list_keys(self) -> Iterator[Json]:
        """All keys, newest first, without the keys themselves."""
        return self._pages("/v1/keys", "keys")

    def revoke_key(self, key_id: int) -> None:
        """End a key."""
        self._delete(f"/v1/keys/{key_id}")

    def clone_study(self, study_id: int) -> Json:
        """Create a study of the same spec."""
        return self._json("POST", f"/v1/studies/{study_id}:clone")

    def events(self, study_id: int, last_event_id: str = "") -> "Iterator[Event]":
        """What happens in a study until it has ended, from its start or after an id, across broken connections."""
        from api.transport.events import EventReader  # which only who watches needs

        try:
            yield from EventReader(self._http, f"/v1/studies/{study_id}/events", last_event_id)
        except httpx.HTTPStatusError as error:
            raise RequestError(_refusal(error.response)) from None

    def list_workers(self) -> list[Json]:
        """The workers that live."""
        workers: list[Json] = self._json("GET", "/v1/workers")["workers"]
        return workers

    @contextmanager
    def archive(self, study_id: int, export_id: int) -> Iterator[Iterator[bytes]]:
        """The archive of an export as chunks."""
        with self._opened("GET", f"/v1/studies/{study_id}/exports/{export_id}/archive") as response:
            yield response.iter_bytes()

    def _pages(self, path: str, key: str) -> Iterator[Json]:
        parameters: dict[str, Any] = {"page_size": PAGE_SIZE}
        while True:
            page = self._json("GET", path, params=parameters)
            yield from page[key]
            if page["next_page_token"] is None:
                return
            parameters["page_token"] = page["next_page_token"]

    def _json(self, method: str, path: str, **arguments: Any) -> Json:
        with self._opened(method, path, **arguments) as response:
            return _document(response)

    def _delete(self, path: str) -> None:
        with self._opened("DELETE", path) as response:
            if response.status_code != httpx.codes.NO_CONTENT:
                raise _foreign(response)

    @contextmanager
    def _opened(self, method: str, path: str, **arguments: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(method, path, **arguments) as response:
                if response.is_error:
                    response.read()
                    raise RequestError(_refusal(response))
                if not response.is_success:
                    raise _foreign(response)
                yield response
        except httpx.TransportError as error:
            raise FormularyError(f"no answer from {self._http.base_url} ({error}); is its server running?") from error


def _refusal(response: httpx.Response) -> str:
    said = f"{response.request.url} answered {response.status_code} {response.reason_phrase}"
    if response.headers.get("content-type") == "application/problem+json":
        return str(_document(response).get("detail", said))
    return said


def _document(response: httpx.Response) -> Json:
    """The JSON object that a response holds; raises FormularyError where it holds anything else."""
    try:
        document = json.loads(response.read())
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _foreign(response)
    return document


def _foreign(response: httpx.Response) -> FormularyError:
    what = f"{response.request.url} answered {response.status_code} as no Formulary service does"
    return FormularyError(f"{what}; is its address in server.json somebody else's by now?")


@dataclass(frozen=True, slots=True)
class LocalApplication:
    """The application in this process, for commands that also work on its database themselves."""

    client: Client
    database: "Database"
    settings: Settings


def find_server(settings: Settings) -> ServerRecord | None:
    """The server that the home names, unless it is known to have ended."""
    server = ServerRecord.read(settings.server_file)
    return None if server is None or server.is_over() else server


@contextmanager
def connect(settings: Settings) -> Iterator[Client]:
    """Connect to the server of the home, or else to the application in this process."""
    server = find_server(settings)
    with ExitStack() as stack:
        if server is None:
            yield stack.enter_context(open_application(settings)).client
        else:
            yield _remote(stack, server)


@contextmanager
def open_application(settings: Settings) -> Iterator[LocalApplication]:
    """Open the application in this process, on a database with the newest schema."""
    from api.app import create_app  # whoever only shows help, or speaks to a server, does not need it
    from api.transport.in_process import InProcessTransport

    app = create_app(settings, trusted=True)
    database = app.state.database

    def execute(client: Client, operation_id: int) -> None:
        from studies.errors import Conflict
        from studies.workers.operations import execute_operation  # loads torch

        try:
            execute_operation(database, operation_id, settings.storage)
        except Conflict:  # a worker was quicker
            _wait_for_worker(client, operation_id)

    with database:
        database.migrate()
        with httpx.Client(transport=InProcessTransport(app), base_url="http://in-process", timeout=None) as http:
            yield LocalApplication(Client(http, execute), database, settings)


def _remote(stack: ExitStack, server: ServerRecord) -> Client:
    headers = {"Authorization": f"Bearer {server.key}"}
    http = httpx.Client(base_url=server.base_url, headers=headers, timeout=TIMEOUT_S, transport=RepeatingTransport())
    return Client(stack.enter_context(http), _wait_for_worker)


def _wait_for_worker(client: Client, operation_id: int) -> None:
    while client.get_operation(operation_id)["state"] not in FINISHED:
        time.sleep(POLL_S)
