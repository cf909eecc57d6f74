"""``formulary run-study``: the driver of a study, as the worker submits it to Ray."""

import signal
from typing import Annotated

import typer

from api.commands.options import StudyArgument, placed
from api.commands.run import INTERRUPTED
from api.settings import Settings

LeaseOption = Annotated[int, typer.Option("--lease", help="Token of the lease that the worker hands over.", min=1)]


@placed
def run_study(settings: Settings, study: StudyArgument, lease: LeaseOption) -> None:
    """Drive a study on the Ray that runs this command; a line for each trial that ends."""
    _let_signals_through()
    from api.driver import drive

    try:
        drive(settings, study, lease)
    except KeyboardInterrupt:
        typer.echo(f"study {study} is interrupted; its next job goes on with it", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _let_signals_through() -> None:
    """Make SIGTERM, by which Ray stops a job, an interruption; Ray's children start with SIGINT blocked."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
