"""``formulary import``: runs made elsewhere become a study with formulas."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.client import connect
from api.commands.options import examples, placed
from api.limits import MAX_TABLE_BYTES
from api.settings import Settings
from model.errors import InvalidInput

TableArgument = Annotated[Path, typer.Argument(metavar="RUNS.csv", help="A table of runs with a header.")]
NameOption = Annotated[str, typer.Option("--name", help="Name of the new study.")]
ObjectiveOption = Annotated[
    str, typer.Option("--objective", metavar="METRIC[:DIRECTION]", help="What was optimised; minimize unless said.")
]
PurposeOption = Annotated[
    str, typer.Option("--purpose", help="estimate: the runs follow a design; optimise: they were chosen by outcome.")
]

USES = {
    "parameters": "standard names",
    "metrics": "standard names",
    "attributes": "not standard names: kept, and used to tell grids of runs apart",
}
EXAMPLES = examples(
    "formulary import runs.csv --name sweep --objective bits_per_byte",
    "formulary import runs.csv --name speed --objective train_tokens_per_second:maximize",
)


@placed
def import_runs(
    settings: Settings,
    table: TableArgument,
    name: NameOption,
    objective: ObjectiveOption,
    purpose: PurposeOption = "estimate",
) -> None:
    """Import a table of runs and fit its formulas; the last line is the new study's id.

    Columns with standard names (depth, learning_rate, batch_tokens, bits_per_byte …) are parameters or metrics; the
    rest are kept as attributes. Which is which, and cells that are not finite, are said on standard error.
    """
    content = _read(table)
    with connect(settings) as client:
        study = client.import_study(content, name, objective, purpose)
    _report(study["spec"])
    typer.echo(study["id"])


def _report(spec: dict[str, Any]) -> None:
    """What was made of the columns, and which cells hold no number that can be used."""
    columns = spec["columns"]
    for kind, use in USES.items():
        if columns[kind]:
            typer.echo(f"{kind}: {', '.join(columns[kind])} ({use})", err=True)
    for cell in spec["unusable"]:
        typer.echo(f"warning: {cell}", err=True)


def _read(table: Path) -> bytes:
    try:
        with table.open("rb") as file:
            content = file.read(MAX_TABLE_BYTES + 1)
    except OSError as error:
        raise InvalidInput(str(table), f"cannot be read ({error.strerror})", "give the path of a CSV file") from error
    if not content:
        raise InvalidInput(str(table), "is empty", "give a header and a row for each run")
    if len(content) > MAX_TABLE_BYTES:
        raise InvalidInput(str(table), f"holds more than {MAX_TABLE_BYTES >> 20} MiB", "split it into several")
    return content
