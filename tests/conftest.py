"""What tests of several folders need: a PostgreSQL server, and an application over real HTTP."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import settings
from pgserver.postgres_server import get_server
from sqlalchemy import text

from studies.database import Database

settings.register_profile("no time limits", deadline=None)  # they would fail on a busy machine
settings.load_profile("no time limits")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # Not below the home: the embedded server opens the permissions of its parent folders when run by root.
    with tempfile.TemporaryDirectory(prefix="formulary-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        server.psql("ALTER SYSTEM SET fsync TO off; SELECT pg_reload_conf();")  # nothing here outlives a power cut
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/formulary.db"
    url: str = request.getfixturevalue("postgres_url")
    with Database(url) as database, database.session() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    return url


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], str]]:
    """Serve an application on a free port until the test ends; its address."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_served(app))


@contextmanager
def _served(app: FastAPI) -> Iterator[str]:
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
