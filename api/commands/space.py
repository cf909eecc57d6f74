"""``formulary space``: what a spec's search space holds, before anything is trained."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.options import JsonOption, examples, placed
from api.settings import Settings
from api.spec_file import read_spec
from api.terminal.consoles import results
from api.terminal.streams import print_json

EXAMPLES = examples(
    "formulary space spec.yaml",
    "formulary space spec.yaml --json",
    "formulary space spec.yaml --flops-per-second 2e11",
)

SpecArgument = Annotated[Path, typer.Argument(metavar="SPEC.yaml", help="The study spec; its corpus is not read.")]
SpeedOption = Annotated[
    float | None,
    typer.Option(
        "--flops-per-second",
        metavar="SPEED",
        help="Training speed of one program; with it the time of all trials is estimated.",
        min=1.0,
        max=1e21,
    ),
]


@placed
def show_space(settings: Settings, spec: SpecArgument, speed: SpeedOption = None, as_json: JsonOption = False) -> None:
    """Show what a spec's search space holds; nothing is stored or trained.

    How many points there are, what a budget solves for and the networks that follow, what each constraint leaves
    out, some examples, and what the trials cost. A point of the space is one network and setting, which is trained at
    every inner point. Constraints are built into the space, so that no draw is wasted; those that depend on continuous
    parameters are checked draw by draw, and the acceptance is the share of draws that pass.
    """
    from api.space_schemas import SpaceResponse  # other commands start sooner without these
    from api.terminal.space_report import print_space
    from search.space.summary import summarize
    from studies.spec import build_space
    from studies.specs.cost import Others, Speed, estimate_cost
    from studies.specs.parsing import parse_spec
    from studies.trained_models import look_at_models

    parsed = parse_spec(read_spec(spec))
    space = build_space(parsed)
    known = None if speed is None else Speed(speed, f"programs train at {speed:.3g} FLOP/s, as given")
    cost = estimate_cost(parsed, space, known, Others(*look_at_models(None, "", parsed)))
    answer = SpaceResponse.of(parsed, summarize(space), cost).model_dump(mode="json")
    if as_json:
        print_json(answer)
    else:
        print_space(results(), answer)
