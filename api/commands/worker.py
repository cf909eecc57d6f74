"""``formulary worker``: gives studies that wait to Ray, and executes operations."""

import logging
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from api.commands.options import examples, placed
from api.ray_token import use_given_ray, use_local_ray
from api.settings import Settings
from model.errors import FormularyError, InvalidInput

if TYPE_CHECKING:
    from studies.workers.worker import Ray

DEFAULT_CAPACITY = 4
"""Studies that are driven at once (assumed: a driver takes some 300 MB, and trials share the CPUs in any case)."""
LOOK_FOR_PARENT_S = 1.0
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

EXAMPLES = examples(
    "formulary worker",
    "FORMULARY_RAY_DASHBOARD_URL=http://head:8265 formulary worker --database-url postgresql://user@host/formulary",
)

CapacityOption = Annotated[
    int, typer.Option("--studies", help="Studies that run at once, those of other workers included.", min=1, max=1000)
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Only tell whether a worker of this machine lives (status 0), or none (1).")
]
ParentOption = Annotated[int | None, typer.Option("--parent", hidden=True, min=1)]


@placed
def worker(
    settings: Settings,
    studies: CapacityOption = DEFAULT_CAPACITY,
    check: CheckOption = False,
    parent: ParentOption = None,
) -> None:
    """Work until told to end (Ctrl-C or SIGTERM): submit studies that wait as Ray Jobs, execute operations.

    Jobs run on the Ray of FORMULARY_RAY_DASHBOARD_URL, or else on a Ray of this machine, which is started here.
    """
    if check:
        _check(settings)
        return
    _log_to_standard_error()
    stop = _told_to_end(parent)
    ray = _ray(settings)
    from studies.database import Database
    from studies.jobs import Jobs  # loads Ray, whose variables are set by now
    from studies.workers.worker import Worker

    with Database(settings.database_url) as database:
        database.migrate()
        Worker(database, settings.home, settings.storage, ray, Jobs, studies).run(stop)


def _check(settings: Settings) -> None:
    from studies import service
    from studies.database import Database

    with Database(settings.database_url) as database, database.read_session() as session:
        if not service.a_worker_lives_here(session):
            raise FormularyError("no worker of this machine gives signs of life")


def _log_to_standard_error() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("studies").setLevel(logging.INFO)


def _told_to_end(parent: int | None) -> threading.Event:
    """An event that is set by SIGTERM or SIGINT; the end of ``parent`` ends this process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=stop.set).start())  # set() could wait for itself here
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent,), name="parent", daemon=True).start()
    return stop


def _die_with(parent: int) -> None:
    """Die as ``parent`` did, which else would have ended this process in order: drivers and Ray are the next one's."""
    from studies.process_identity import has_ended, process

    identity = process(parent)
    while not has_ended(identity):
        time.sleep(LOOK_FOR_PARENT_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _ray(settings: Settings) -> "Ray":
    """The Ray to use; its variables are set in this process, for its client and for a Ray that is started."""
    from studies.workers.ray_node import LocalRay
    from studies.workers.worker import GivenRay

    if settings.ray_dashboard_url is None:
        use_local_ray(settings)
        return LocalRay(settings.home / "ray", settings.database_url, settings.environment())
    _check_reach(settings.ray_dashboard_url, settings.database_url)
    use_given_ray()
    return GivenRay(settings.ray_dashboard_url)


def _check_reach(dashboard_url: str, database_url: str) -> None:
    host = _host_of(dashboard_url)
    if host is None:
        raise InvalidInput("FORMULARY_RAY_DASHBOARD_URL", f"{dashboard_url!r} is no address", "write http://HOST:8265")
    if database_url.startswith("sqlite") and host not in LOOPBACK_NAMES:
        reason = f"drivers at {host} cannot reach a SQLite file of this machine"
        raise InvalidInput("FORMULARY_DATABASE_URL", reason, "use PostgreSQL with a Ray on another machine")


def _host_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return parts.hostname if parts.scheme in ("http", "https") and parts.port != 0 else None
    except ValueError:  # brackets that are open, or a port that is no number
        return None
