"""The application factory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI

from api.authentication import Authentication, get_identity
from api.content_type import require_content_type
from api.errors import install_handlers
from api.events import EventStreams
from api.idempotency import install_replay
from api.middleware.body_limit import BodyLimit
from api.middleware.hosts import Hosts
from api.middleware.measurement import Measurement
from api.middleware.metrics import Metrics
from api.middleware.security_headers import SecurityHeaders
from api.openapi.document import install_openapi
from api.routes import (
    campaigns,
    continuing,
    events,
    exports,
    external,
    formulas,
    health,
    keys,
    ladders,
    login,
    operations,
    pages,
    plots,
    ray_dashboard,
    studies,
    trials,
    validations,
    workers,
)
from api.schemas import Problem
from api.settings import Settings
from api.web.assets import install_assets
from studies.database import Database
from studies.plans import Plans

ROUTERS = (
    continuing.router,
    external.router,
    studies.router,
    trials.router,
    formulas.router,
    validations.router,
    campaigns.router,
    ladders.router,
    exports.router,
    operations.router,
    events.router,
    workers.router,
    plots.router,
    keys.router,
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
        docs_url=None,  # both pages would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.event_streams = EventStreams(database)
    app.state.metrics = Metrics(database)
    app.state.plans = Plans()
    _add_middleware(app, trusted)
    install_handlers(app)
    install_replay(app)
    for router in ROUTERS:
        app.include_router(
            router,
            prefix="/v1",
            dependencies=[Depends(get_identity), Depends(require_content_type)],
            responses={"4XX": {"model": Problem, "description": "Refused"}},
        )
    app.include_router(health.router)
    app.include_router(login.router)
    app.include_router(pages.router)
    app.include_router(ray_dashboard.router)
    install_assets(app)
    install_openapi(app)
    return app


def _add_middleware(app: FastAPI, trusted: bool) -> None:
    """Add what every request passes, the innermost first."""
    app.add_middleware(BodyLimit)
    app.add_middleware(Authentication, database=app.state.database, trusted=trusted)
    if not trusted:  # whoever is trusted comes without a network
        app.add_middleware(Hosts, allowed=app.state.settings.allowed_hosts)
    app.add_middleware(Measurement, metrics=app.state.metrics)
    app.add_middleware(SecurityHeaders)
