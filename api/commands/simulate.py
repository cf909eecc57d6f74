"""``formulary simulate``: how soon each sampler would have found what a study found, without training."""

from typing import Annotated

import typer

from api.client import connect
from api.commands.options import JsonOption, StudyArgument, examples, placed
from api.settings import Settings
from api.terminal.consoles import results
from api.terminal.streams import print_json

EXAMPLES = examples(
    "formulary simulate 3",
    "formulary simulate 3 --sampler random --sampler bowl --seeds 50 --within 0.5",
)

SamplersOption = Annotated[
    list[str] | None, typer.Option("--sampler", metavar="KIND", help="A sampler; may be repeated.")
]
SeedsOption = Annotated[int, typer.Option("--seeds", help="Searches with each sampler.", min=1, max=1000)]
WithinOption = Annotated[
    float, typer.Option("--within", metavar="PERCENT", help="How near to the best counts as found.", min=0, max=100)
]


@placed
def simulate(
    settings: Settings,
    study: StudyArgument,
    samplers: SamplersOption = None,
    seeds: SeedsOption = 20,
    within: WithinOption = 0.25,
    as_json: JsonOption = False,
) -> None:
    """Compare samplers on a study's trials, run here or imported, in seconds and without training.

    Each sampler searches the recorded points, once with each seed, until it meets one that is near the best. A point
    that was not recorded gives the value of the nearest one; trials with the same parameters count as their mean.
    """
    from api.terminal.tables import plain_table  # other commands start sooner without these
    from search.settings import Objective
    from studies.replay import COMPARED, compare_samplers

    with connect(settings) as client:
        objective = Objective.model_validate(client.get_study(study)["spec"]["objectives"][0])
        trials = list(client.list_trials(study))
    found = list(compare_samplers(trials, objective, samplers or COMPARED, seeds, within / 100))
    if as_json:
        print_json([each.as_json() for each in found])
        return
    table = plain_table(("sampler", "trials, median", "mean", "first to ninth tenth", "mean cost"))
    for each in found:
        spread = f"{each.low_trials:g} to {each.high_trials:g}"
        table.add_row(
            each.sampler, f"{each.median_trials:g}", f"{each.mean_trials:.1f}", spread, f"{each.mean_cost:.3g}"
        )
    results().print(table)
