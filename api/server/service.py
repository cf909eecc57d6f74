"""The service of a home: one HTTP server and one worker, from start to end."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from api.app import create_app
from api.server.access import login_link, own_key
from api.server.http import base_url, bind, is_loopback, serving
from api.server.logs import log_to
from api.server.record import ServerRecord
from api.server.worker import worker_beside
from api.settings import Settings
from model.errors import FormularyError, InvalidInput
from studies.process_identity import this_process


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that answers."""

    base_url: str
    new_login_link: Callable[[], str]
    """Makes a link that logs a browser in, once, within ten minutes."""
    logs: Path
    """Folder of the log files."""
    only_loopback: bool
    """Whether only this machine reaches it."""
    ended: threading.Event
    """Set when the HTTP server has ended."""


@contextmanager
def running_service(settings: Settings, host: str, port: int, with_worker: bool = True) -> Iterator[RunningService]:
    """Run the service of a home from the entry of the block, which waits until it answers, to its end.

    Args:
        settings: the home and its database, which is migrated.
        host: address to listen on.
        port: 0 is any free one.
        with_worker: start a worker, too.

    Raises:
        InvalidInput: the address cannot be used, or the home belongs to a server elsewhere.
        FormularyError: the home is being served already, or the service did not start.
    """
    logs = settings.home / "logs"
    with ExitStack() as stack:
        stack.enter_context(_alone(settings))
        before = _own_record(settings)
        listener = stack.enter_context(bind(host, port))
        address = base_url(listener)
        log_to(logs / "api.log")
        app = create_app(replace(settings, allowed_hosts=(*settings.allowed_hosts, host)))
        database = app.state.database
        database.migrate()
        key = own_key(database, before.key if before else None)
        new_login_link = partial(login_link, database, address, key)
        loopback = is_loopback(listener)
        ended = stack.enter_context(serving(app, listener))
        stack.enter_context(_announced(settings, ServerRecord(address, key, this_process())))
        if with_worker:
            stack.enter_context(worker_beside(settings, logs / "worker.log"))
        yield RunningService(address, new_login_link, logs, loopback, ended)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Hold the home, which one service at a time may have; the system lets go of it when the process dies."""
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.home / "serve.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        record = ServerRecord.read(settings.server_file)
        where = f"at {record.base_url}" if record and not record.is_over() else "by a process that is just starting"
        remedy = "stop it first, or use another --home"
        raise FormularyError(f"{settings.home} is being served already {where}; {remedy}") from error
    try:
        yield
    finally:
        lock.release()


def _own_record(settings: Settings) -> ServerRecord | None:
    """The record of the service before, whose key goes on."""
    record = ServerRecord.read(settings.server_file)
    if record is not None and record.process is None:
        reason = f"names the server {record.base_url}, which was not started here"
        raise InvalidInput(str(settings.server_file), reason, "use another --home, or remove the file")
    return record


@contextmanager
def _announced(settings: Settings, record: ServerRecord) -> Iterator[None]:
    """Let commands find the service from the entry of the block to its end."""
    record.write(settings.server_file)
    try:
        yield
    finally:
        record.as_ended().write(settings.server_file)
