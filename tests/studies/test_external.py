"""Ask and tell, on both databases: every number once, whoever asks at the same time, and none lost."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from search.plan import MAX_LOST_WORKERS
from studies import service
from studies.database import Database
from studies.errors import Conflict, NotFound
from studies.plans import Plans
from studies.records import OperationState, Study, StudyState, Trial
from studies.repository import operations, queue, workers
from studies.runner import run_study
from studies.service import external
from studies.service.continuing import EnqueueRequest, ExtendRequest
from studies.service.external import CompleteRequest, ReportRequest, SuggestRequest
from studies.workers.operations import execute_operation


class Server:
    """A process that answers; each has plans of its own."""

    def __init__(self, database: Database, study: Study) -> None:
        self.database = database
        self.study = study
        self.plans = Plans()

    def suggest(self, client: str = "a", count: int = 1, seconds: int = 3600) -> list[Trial]:
        request = SuggestRequest(client_id=client, count=count, lease_seconds=seconds)
        with self.database.session() as session:
            return list(external.suggest(session, self.plans, "ada", self.study.id, request).trials)

    def report(self, number: int, step: int, value: float, metric: str = "bits_per_byte", **further: Any) -> bool:
        request = ReportRequest(step=step, values={metric: value}, **further)
        with self.database.session() as session:
            return external.report(session, self.plans, "ada", self.study.id, number, request).stop

    def complete(self, number: int, value: float | None = 2.0, **further: Any) -> Trial:
        told: dict[str, Any] = {"failed": "diverged"} if value is None else {"metrics": {"bits_per_byte": value}}
        with self.database.session() as session:
            request = CompleteRequest(**told, **further)
            return external.complete(session, self.plans, "ada", self.study.id, number, request)

    @property
    def state(self) -> StudyState:
        with self.database.read_session() as session:
            return service.get_study(session, "ada", self.study.id).state

    @property
    def trials(self) -> list[Trial]:
        with self.database.read_session() as session:
            return service.list_trials(session, "ada", self.study.id)


@pytest.fixture
def serve(database: Database, document: dict[str, Any], roots: list[Path]) -> Callable[..., Server]:
    def serve(**changes: Any) -> Server:
        wide = {"depth": {"type": "int", "low": 1, "high": 200}}
        spec = {**document, "space": wide, "sampler": {"kind": "qmc"}, "execution": "external", **changes}
        with database.session() as session:
            return Server(database, service.create_study(session, "ada", spec, roots))

    return serve


def another(server: Server) -> Server:
    return Server(server.database, server.study)


def numbers(trials: list[Trial]) -> list[int]:
    return [trial.number for trial in trials]


def test_a_study_is_trained_elsewhere_to_its_end(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve()
    assert server.state is StudyState.QUEUED
    while found := server.suggest():
        assert server.state is StudyState.RUNNING
        (trial,) = found
        assert (trial.client, trial.attributes["origin"], trial.attempts) == ("a", "design", 1)
        assert trial.attributes["total_parameters"] > 0
        assert not server.report(trial.number, 10, 3.0)
        ended = server.complete(trial.number, 2.0 + trial.number, attributes={"device": "mine"})
        assert (ended.state, ended.metrics, ended.attributes["device"]) == (
            "COMPLETE",
            {"bits_per_byte": 2.0 + trial.number},
            "mine",
        )
    assert numbers(server.trials) == list(range(6))
    assert server.state is StudyState.COMPLETED
    with server.database.read_session() as session:
        (operation,) = [operations.get(session, found.id) for found in queue.open_operations(session)]
    assert operation is not None
    assert settled(server)
    with server.database.session() as session:
        workers.say_alive(session, "worker", None)
    assert not settled(server)
    assert execute_operation(server.database, operation.id, tmp_path).state is OperationState.SUCCEEDED
    assert settled(server)


def settled(server: Server) -> bool:
    """Whether who watches the study has nothing left to wait for."""
    with server.database.read_session() as session:
        looked = service.look(session, "ada", server.study.id, -1)
    return looked is not None and looked.settled


def test_no_worker_and_no_driver_takes_it(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve()
    server.suggest()
    with server.database.read_session() as session:
        assert queue.open_studies(session) == []
    with pytest.raises(Conflict, match="trained elsewhere"):
        run_study(server.database, server.study.id, tmp_path, search=lambda *_, **__: None)


def test_a_client_is_given_back_what_it_has_not_ended(serve: Callable[..., Server]) -> None:
    server = serve()
    assert numbers(server.suggest("a", 2)) == [0, 1]
    assert numbers(server.suggest("b")) == [2]
    assert numbers(server.suggest("a")) == [0]
    assert numbers(another(server).suggest("a", 3)) == [0, 1, 3]
    server.complete(0)
    assert numbers(server.suggest("a", 2)) == [1, 3]


@pytest.mark.parametrize("kind", ["qmc", "tpe"])
def test_two_servers_hand_out_each_number_once(serve: Callable[..., Server], kind: str) -> None:
    """Clients ask, report and complete side by side; a third of the requests is rolled back before its answer."""
    purpose = {"purpose": "optimise"} if kind == "tpe" else {}
    first = serve(max_trial_count=14, sampler={"kind": kind}, **purpose)
    servers = [first, another(first)]
    handed_out: list[tuple[int, str]] = []
    barrier = threading.Barrier(4)

    def client(name: int) -> None:
        barrier.wait()
        for turn in range(100):
            server = servers[(name + turn) % 2]
            if turn % 3 == 1:
                _killed_before_its_answer(server, f"client {name}")
            found = server.suggest(f"client {name}")
            if not found:
                return
            handed_out.append((found[0].number, f"client {name}"))
            server.report(found[0].number, 5, 3.0, client_id=f"client {name}")
            servers[(name + turn + 1) % 2].complete(found[0].number, 2.0, client_id=f"client {name}")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(client, name) for name in range(4)]:
            done.result()
    assert sorted(number for number, _ in handed_out) == list(range(14))
    assert numbers(first.trials) == list(range(14))
    assert {(trial.number, trial.client) for trial in first.trials} == set(handed_out)
    points = {tuple(sorted(trial.parameters.items())) for trial in first.trials}
    assert len(points) == 14
    assert first.state is StudyState.COMPLETED


class Killed(BaseException):
    """The server is gone after it allocated numbers, before it answered."""


def _killed_before_its_answer(server: Server, client: str) -> None:
    try:
        with server.database.session() as session:
            external.suggest(session, server.plans, "ada", server.study.id, SuggestRequest(client_id=client, count=2))
            raise Killed
    except Killed:
        return


def test_declared_designs_are_those_of_a_study_that_is_trained_here(serve: Callable[..., Server]) -> None:
    alone = serve()
    expected = [trial.parameters for trial in alone.suggest("a", 6)]
    changing = serve()
    found = []
    for number in range(6):
        server = another(changing) if number % 2 else changing
        found += [trial.parameters for trial in server.suggest(f"client {number}")]
    assert found == expected


def test_a_silent_client_loses_its_trial_and_the_last_one_with_it(serve: Callable[..., Server]) -> None:
    server = serve()
    for client in range(MAX_LOST_WORKERS):
        (trial,) = server.suggest(f"client {client}")
        assert (trial.number, trial.attempts) == (0, client + 1)
        _let_time_pass(server)
    assert numbers(server.suggest("last")) == [1]
    assert server.trials[0].state == "FAIL"
    assert "lost 3 clients" in str(server.trials[0].reason)


def test_a_report_keeps_a_trial_and_a_late_client_is_refused(serve: Callable[..., Server]) -> None:
    server = serve()
    server.suggest("slow")
    _let_time_pass(server)
    server.report(0, 1, 3.0, client_id="slow")
    assert numbers(server.suggest("b")) == [1]
    _let_time_pass(server, number=0)
    assert numbers(server.suggest("slow")) == [0]
    _let_time_pass(server, number=0)
    assert numbers(another(server).suggest("c")) == [0]
    for late in (
        lambda: server.report(0, 2, 3.0, client_id="slow"),
        lambda: server.complete(0, client_id="slow"),
    ):
        with pytest.raises(Conflict, match="not slow's"):
            late()
    server.complete(0, client_id="c")


def _let_time_pass(server: Server, number: int | None = None) -> None:
    from sqlalchemy import update

    from studies.repository.leases import database_now
    from studies.tables import TrialRow

    with server.database.session() as session:
        past = database_now(session).replace(year=2000)
        statement = update(TrialRow).where(TrialRow.study_id == server.study.id)
        if number is not None:
            statement = statement.where(TrialRow.number == number)
        session.execute(statement.values(due_at=past))


def test_what_is_told_twice_changes_nothing_and_what_has_ended_is_immutable(serve: Callable[..., Server]) -> None:
    server = serve()
    server.suggest("a", 2)
    ended = server.complete(0, 2.0)
    assert server.complete(0, 2.0) == ended
    with pytest.raises(Conflict, match="cannot change"):
        server.complete(0, 1.0)
    with pytest.raises(Conflict, match="cannot change"):
        server.report(0, 1, 1.0)
    failed = server.complete(1, None)
    assert (failed.state, failed.reason) == ("FAIL", "diverged")
    assert server.complete(1, None) == failed
    with pytest.raises(NotFound):
        server.complete(5)


@pytest.mark.parametrize("name", ["origin", "replicate", "enqueued_point", "total_parameters"])
def test_a_client_does_not_say_what_the_study_says(serve: Callable[..., Server], name: str) -> None:
    server = serve()
    server.suggest()
    with pytest.raises(InvalidInput, match="is what the study itself says"):
        server.complete(0, attributes={name: "other"})


def test_weak_trials_are_told_to_stop(serve: Callable[..., Server], document: dict[str, Any]) -> None:
    server = serve(
        purpose="optimise",
        scheduler={"kind": "asha", "reduction_factor": 2},
        proxy={**document["proxy"], "evaluations": 4},
        inner={},
    )
    server.suggest("a", 3)
    assert not server.report(0, 10, 2.0)
    assert server.report(1, 10, 3.0)
    assert another(server).report(2, 10, 2.5)
    assert [trial.state for trial in server.trials] == ["RUNNING", "PRUNED", "PRUNED"]
    assert server.report(1, 20, 1.0)
    assert server.complete(1, 1.0).state == "PRUNED"
    assert server.trials[1].metrics == {"bits_per_byte": 3.0}
    with pytest.raises(InvalidInput, match="the scheduler compares it"):
        server.report(0, 20, 2.0, metric="validation_loss")


@pytest.mark.parametrize("evaluations", [4, 9])
def test_the_nth_report_is_the_nth_evaluation_that_is_annealed(
    serve: Callable[..., Server], document: dict[str, Any], evaluations: int
) -> None:
    """With a factor of 3 these are evaluations 1 and 3, whoever answers, before and after others have ended."""
    server = serve(
        purpose="optimise",
        scheduler={"kind": "asha"},
        proxy={**document["proxy"], "evaluations": evaluations},
        inner={},
    )
    server.suggest("a", 6)
    for number in (0, 1, 2):
        assert not server.report(number, 10, 3.0 - number)
    assert not server.report(2, 20, 0.9)
    server.complete(2, 0.8)
    assert not another(server).report(1, 20, 0.85)
    assert another(server).report(0, 20, 1.5)
    assert "rung 2 (evaluation 3" in str(server.trials[0].reason)
    assert another(server).report(3, 10, 2.5)
    assert "rung 1 (evaluation 1" in str(server.trials[3].reason)


def test_controls_and_orders_hold_here_too(serve: Callable[..., Server]) -> None:
    server = serve()

    def ask(verb: Callable[..., Any], *request: Any) -> None:
        with server.database.session() as session:
            verb(session, "ada", server.study.id, *request)

    server.suggest("a")
    ask(service.enqueue_points, EnqueueRequest(parameters={"depth": 177}))
    assert [trial.parameters["depth"] for trial in server.suggest("b", 3)[1:]] == [177, 177]
    ask(service.pause_study)
    with pytest.raises(Conflict, match="resume it first"):
        server.suggest("c")
    server.complete(0)
    ask(service.resume_study)
    assert numbers(server.suggest("c")) == [4]
    ask(service.stop_study)
    assert server.state is StudyState.COMPLETED
    assert server.suggest("c") == []
    with pytest.raises(Conflict, match="ask for trials again"):
        server.complete(4)
    ask(service.extend_study, ExtendRequest(trials=2))
    assert numbers(server.suggest("d", 9)) == [1, 2, 3, 4, 5, 6, 7]
    for number in range(1, 8):
        server.complete(number)
    assert server.state is StudyState.COMPLETED


def test_leaders_are_trained_again_elsewhere(serve: Callable[..., Server]) -> None:
    server = serve(seeds={"count": 2, "leaders": 1}, max_trial_count=6)
    for number in (0, 1, 2, 3):
        server.suggest("a")
        if number == 3:
            assert server.suggest("b") == []
        server.complete(number, float(number))
    found = another(server).suggest("b", 5)
    assert [trial.attributes.get("replicate_of") for trial in found] == [0, 0]
    for trial in found:
        server.complete(trial.number)
    assert server.state is StudyState.COMPLETED


def test_a_study_whose_trials_all_failed_has_failed(serve: Callable[..., Server]) -> None:
    server = serve(max_trial_count=2)
    for number in (0, 1):
        server.suggest()
        server.complete(number, None)
    assert server.state is StudyState.FAILED


def test_a_space_that_is_tried_whole_ends_the_study(serve: Callable[..., Server]) -> None:
    server = serve(space={"depth": {"type": "int", "low": 1, "high": 2}}, max_trial_count=50)
    for trial in server.suggest("a", 50):
        server.complete(trial.number)
    assert len(server.trials) == 4
    assert server.suggest("a") == []
    assert server.state is StudyState.COMPLETED


def test_studies_that_are_trained_here_are_not_asked(
    database: Database, document: dict[str, Any], roots: list[Path]
) -> None:
    with database.session() as session:
        study = service.create_study(session, "ada", document, roots)
    with pytest.raises(Conflict, match="execution: external"):
        Server(database, study).suggest()
