"""The application factory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api.authentication import Authentication
from api.body_limit import BodyLimit
from api.errors import install_handlers
from api.events import EventStreams
from api.idempotency import install_replay
from api.routes import events, exports, formulas, health, operations, studies, trials, workers
from api.schemas import Problem
from api.settings import Settings
from api.web.assets import install_assets
from studies.database import Database

ROUTERS = (
    studies.router,
    trials.router,
    formulas.router,
    exports.router,
    operations.router,
    events.router,
    workers.router,
)


def create_app(settings: Settings, *, trusted: bool = False) -> FastAPI:
    """Build the HTTP application on the database that ``settings`` name.

    Args:
        settings: where everything lives.
        trusted: whether every request is an admin's and needs no key: for an application without a socket.

    Raises:
        InvalidInput: the database's address is not usable.
    """
    database = Database(settings.database_url)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with database:
            yield

    app = FastAPI(
        title="Formulary",
        version=version("formulary"),
        summary="Design formulas of tiny language models, from short proxy trials to configs that run.",
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.event_streams = EventStreams(database)
    app.add_middleware(Authentication, database=database, trusted=trusted)
    app.add_middleware(BodyLimit)
    install_handlers(app)
    install_replay(app)
    for router in ROUTERS:
        app.include_router(router, prefix="/v1", responses={"4XX": {"model": Problem, "description": "Refused"}})
    app.include_router(health.router)
    install_assets(app)
    return app
