"""``formulary study enqueue`` and ``extend``: points that are to run first, and more trials."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.client import connect
from api.commands.options import StudyArgument, examples, placed
from api.settings import Settings
from api.spec_file import read_points, read_value
from api.terminal.consoles import messages, print_warnings
from model.errors import InvalidInput

ENQUEUE_EXAMPLES = examples(
    "formulary study enqueue 3 --parameter depth=4 --parameter ffn_ratio=2.5",
    "formulary study enqueue 3 --file points.yaml",
)
EXTEND_EXAMPLES = examples("formulary study extend 3 --trials 20")

ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="A value of the point; once for each parameter."),
]
FileOption = Annotated[Path | None, typer.Option("--file", help="A YAML list of points, each a mapping of values.")]
RepeatOption = Annotated[bool, typer.Option("--allow-duplicates", help="Train points again that were tried before.")]
TrialsOption = Annotated[int, typer.Option("--trials", min=1, help="How many trials the study is to have in addition.")]


@placed
def enqueue(
    settings: Settings,
    study: StudyArgument,
    parameter: ParameterOption = None,
    file: FileOption = None,
    allow_duplicates: RepeatOption = False,
) -> None:
    """Let a study try points before those of its sampler, each at every inner point."""
    if bool(parameter) == (file is not None):
        raise InvalidInput("--parameter", "one point or a file of points is needed", "give --parameter, or --file")
    points = [_point(parameter or [])] if file is None else read_points(file)
    with connect(settings) as client:
        added = client.enqueue_points(study, points, allow_duplicates)
    places = f"{added[0]['position']} to {added[-1]['position']}" if len(added) > 1 else f"{added[0]['position']}"
    messages().print(f"study {study}: {len(added)} enqueued, at position {places}")


@placed
def extend(settings: Settings, study: StudyArgument, trials: TrialsOption) -> None:
    """Give a study more trials; one that has ended is queued again."""
    with connect(settings) as client:
        extended = client.extend_study(study, trials)
    print_warnings(extended)
    asked = extended["spec"]["max_trial_count"]
    messages().print(f"study {study} is {extended['state']} and is to have {asked} trials")
    if extended["state"] == "QUEUED":
        how = f"a worker runs it, or 'formulary run' with max_trial_count: {asked} in its spec"
        messages().print(how, soft_wrap=True)


def _point(given: list[str]) -> dict[str, Any]:
    point: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidInput("--parameter", f"{text!r} is not NAME=VALUE", "write for example depth=4")
        if name in point:
            raise InvalidInput("--parameter", f"{name} is given twice", "give each name once")
        point[name] = read_value(value, f"--parameter {name}")
    return point
