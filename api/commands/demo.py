"""``formulary demo``: a whole study through the service, from its spec to a model that trains."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import studies
from api.client import Client, connect
from api.commands.export import download
from api.commands.options import examples, home_option, placed
from api.commands.run import INTERRUPTED, create_or_continue
from api.commands.serve import end_on_signals, saying_stops
from api.settings import Settings
from api.spec_file import read_spec
from api.terminal.consoles import messages, results
from api.terminal.report import print_report
from model.errors import FormularyError, InvalidInput

if TYPE_CHECKING:
    from api.server.service import RunningService

SPEC = Path(studies.__file__).parent / "presets" / "demo.yaml"
HOST = "127.0.0.1"
USUAL_PORT = 8000
STEPS = 20
"""Steps of training from the export: enough to see the loss fall."""

Json = dict[str, Any]

EXAMPLES = examples("formulary demo --home .demo")
PortOption = Annotated[
    int | None, typer.Option("--port", help=f"Port of the service; {USUAL_PORT} unless it is in use.", max=65535)
]


@placed
def demo(settings: Settings, port: PortOption = None) -> None:
    """Serve the home, run a small real study over HTTP, and train from its best trial.

    On a terminal the service then goes on until Ctrl-C; elsewhere it ends. An unfinished demo goes on where it stopped.
    """
    from api.server.service import running_service  # loads the application

    end_on_signals()
    command = f"{sys.argv[0]} {home_option(settings)}"
    try:
        with running_service(settings, HOST, _free_port() if port is None else port) as service:
            _say(f"The service is at {service.base_url}; to look on, open {service.new_login_link()}")
            with saying_stops(), connect(settings) as client:
                _show(client, settings)
                _stay(service)
    except KeyboardInterrupt:
        _say(f"\nstopped; to go on: {command}demo")
        raise typer.Exit(INTERRUPTED) from None
    _say(f"\nThe service has ended. To serve what it made, and look at it in a browser: {command}serve")


def _free_port() -> int:
    """The usual port, or 0 where it is in use."""
    from api.server.http import bind

    try:
        bind(HOST, USUAL_PORT).close()
    except InvalidInput:
        return 0
    return USUAL_PORT


def _show(client: Client, settings: Settings) -> None:
    """The study, its formulas, its export, and training from that."""
    study = _run_study(client)
    print_report(results(), client, study)
    if study["state"] != "COMPLETED":
        raise FormularyError(f"study {study['id']} is {study['state']}: {study['error']}")
    _say("\n3 of 4: POST …/exports, then the archive: the best trial as a model folder that transformers loads")
    folder = settings.home / f"model-{study['id']}"
    names = download(client, client.export(study["id"], {"format": "hf"}), folder)
    _say(f"wrote {', '.join(names)} to {folder}")
    _say(f"\n4 of 4: formulary pretrain {folder} --max-steps {STEPS}")
    _pretrain(folder, settings)


def _run_study(client: Client) -> Json:
    from api.terminal.watching import watch_study

    spec = read_spec(SPEC)
    count = spec["max_trial_count"]
    _say(f"1 of 4: POST /v1/studies: {count} short trials on this Python's own source text (about three minutes)")
    study = create_or_continue(client, spec)
    _say(f"\n2 of 4: GET /v1/studies/{study['id']}/events: its trials as they end")
    watch_study(messages(), client, study)
    return client.get_study(study["id"])


def _pretrain(folder: Path, settings: Settings) -> None:
    arguments = ["pretrain", str(folder), "--max-steps", str(STEPS)]
    command = [sys.executable, "-P", "-m", "api.cli", *arguments]
    if subprocess.run(command, env=settings.environment(), check=False).returncode:
        raise FormularyError("the training did not succeed; its message is above")


def _stay(service: "RunningService") -> None:
    """On a terminal, go on serving until Ctrl-C."""
    if not sys.stdout.isatty():
        return
    _say(f"\nThe service goes on until Ctrl-C. Open {service.new_login_link()}")
    try:
        service.ended.wait()
    except KeyboardInterrupt:
        _say("\nstopping …")


def _say(line: str) -> None:
    messages().print(line, soft_wrap=True)
