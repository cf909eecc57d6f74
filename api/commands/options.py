"""What every command shares: where the home and the database are, and how an error is said."""

import functools
import inspect
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, NoReturn, ParamSpec

import typer

from api.settings import Settings, load_settings
from model.errors import FormularyError

P = ParamSpec("P")

MAX_MESSAGE = 2000
"""Longest error shown: messages repeat the user's names, whatever their length (assumed)."""

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder of database and storage (FORMULARY_HOME, or ~/.formulary).")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database-url", help="Database (FORMULARY_DATABASE_URL, or a SQLite file in the home)."),
]
CorpusRootOption = Annotated[
    list[Path] | None,
    typer.Option("--corpus-root", help="Folder below which a corpus may lie; may be repeated.", file_okay=False),
]
StudyArgument = Annotated[int, typer.Argument(metavar="ID", help="The study's id.", min=1)]
WithOption = Annotated[
    list[int] | None,
    typer.Option("--with", metavar="ID", min=1, help="Another study, fitted together with this one; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def examples(*lines: str) -> str:
    """Examples for the end of a command's help; the backspace keeps their lines."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def remember_place(context: typer.Context, home: HomeOption = None, database_url: DatabaseOption = None) -> None:
    """Keep what was given before the command; a group's callback."""
    given = {"home": home, "database_url": database_url}
    context.obj = {**(context.obj or {}), **{name: value for name, value in given.items() if value is not None}}


def _fail(message: str, cause: Exception) -> NoReturn:
    from api.terminal.consoles import printable  # loads rich

    line = printable(" ".join(message.split()))
    shown = line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]}…"
    typer.echo(f"error: {shown}", err=True)
    raise typer.Exit(1) from cause


def home_option(settings: Settings) -> str:
    """What a further command must be given to work on the same home, with a space after it; often nothing."""
    return "" if settings.home == load_settings().home else f"--home {shlex.quote(str(settings.home))} "


def placed(command: Callable[Concatenate[Settings, P], None]) -> Callable[..., None]:
    """Make a command of a function that starts with the settings.

    The command accepts --home and --database-url, which win over those before it; an error that is written for
    the user becomes one line on standard error and exit status 1.
    """

    @functools.wraps(command)
    def run(
        context: typer.Context, *args: Any, home: Path | None = None, database_url: str | None = None, **kwargs: Any
    ) -> None:
        remember_place(context, home, database_url)
        try:
            command(load_settings(**context.obj), *args, **kwargs)
        except FormularyError as error:
            _fail(str(error), error)
        except BrokenPipeError:
            raise  # the reader has seen enough
        except OSError as error:
            _fail(f"{error.filename or 'input or output'}: {error.strerror or error}", error)

    shared = [
        inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context),
        inspect.Parameter("home", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=HomeOption),
        inspect.Parameter("database_url", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=DatabaseOption),
    ]
    own = list(inspect.signature(command).parameters.values())[1:]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + shared
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
