"""``formulary serve`` and ``formulary login-link``: the service of a home, and the way in for a browser."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.options import examples, home_option, placed
from api.settings import Settings
from api.terminal.consoles import messages, results
from model.errors import FormularyError, InvalidInput

if TYPE_CHECKING:
    from api.server.service import RunningService

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", help="Port to listen on; 0 is any free one.", min=0, max=65535)]
NoWorkerOption = Annotated[bool, typer.Option("--no-worker", help="Start no worker; studies wait for one.")]

EXAMPLES = examples(
    "formulary serve",
    "formulary serve --port 0 --home /data/formulary",
    "formulary serve --no-worker",
)
LINK_EXAMPLES = examples("formulary login-link", "formulary login-link --home /data/formulary")


@placed
def serve(
    settings: Settings, host: HostOption = "127.0.0.1", port: PortOption = 8000, no_worker: NoWorkerOption = False
) -> None:
    """Serve HTTP and run studies, until Ctrl-C; other commands on the same home then speak to this service."""
    from api.server.service import running_service  # loads the application

    end_on_signals()
    try:
        with running_service(settings, host, port, with_worker=not no_worker) as service:
            _greet(service, settings)
            with saying_stops():
                service.ended.wait()
    except KeyboardInterrupt:
        messages().print("stopped")
        return
    raise FormularyError(f"the HTTP server ended by itself; {settings.home / 'logs'} says why")


def _greet(service: "RunningService", settings: Settings) -> None:
    if not service.only_loopback:
        warning = "warning: other machines reach this address, and there is no TLS: keys travel in the clear"
        messages().print(f"{warning}; put a proxy that speaks TLS in front (docs/operations.md)", soft_wrap=True)
    lines = (
        f"Formulary serves {settings.home} at {service.base_url}",
        f"open  {service.new_login_link()}",
        f"      (once, within ten minutes; for another link: formulary {home_option(settings)}login-link)",
        f"Ray   {service.base_url}/ray-dashboard shows the running studies (log in first)",
        f"logs  {service.logs}",
        "stop  Ctrl-C",
    )
    results().print("\n".join(lines), soft_wrap=True)


def end_on_signals() -> None:
    """Let SIGTERM and the end of the terminal end this process as Ctrl-C does."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)


@contextmanager
def saying_stops() -> Iterator[None]:
    """Say at once that a signal was heard: ending takes some seconds."""
    try:
        yield
    except KeyboardInterrupt:
        messages().print("stopping …")
        raise


@placed
def login_link(settings: Settings) -> None:
    """Print a link that logs a browser in to the running service, once; it works for ten minutes."""
    from api.server.access import login_link as new_link
    from api.server.record import ServerRecord
    from studies.database import Database  # other commands start sooner without it

    record = ServerRecord.read(settings.server_file)
    if record is None or record.is_over():
        raise InvalidInput("--home", f"nothing serves {settings.home}", "start `formulary serve` on it first")
    with Database(settings.database_url) as database:
        typer.echo(new_link(database, record.base_url, record.key))
