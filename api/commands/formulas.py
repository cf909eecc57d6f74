"""``formulary formulas``: what a study found."""

from typing import Annotated

import typer

from api.client import connect
from api.commands.options import JsonOption, StudyArgument, WithOption, examples, placed
from api.settings import Settings
from api.terminal.consoles import results
from api.terminal.formula_card import formula_cards
from api.terminal.streams import print_json

EXAMPLES = examples(
    "formulary formulas 3",
    "formulary formulas 3 --with 4 --with 5         # the trials of all three together",
    "formulary formulas 3 --json",
    "formulary formulas 3 --suggest-study > next.yaml && formulary study create next.yaml",
)
SuggestOption = Annotated[
    bool, typer.Option("--suggest-study", help="Print the spec of a study that would decide an undetermined formula.")
]
KindOption = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="Only formulas of this kind, e.g. depth_width.")
]


@placed
def show_formulas(
    settings: Settings,
    study: StudyArgument,
    others: WithOption = None,
    kind: KindOption = None,
    suggest_study: SuggestOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a study's formulas: coefficients with intervals, and verdicts with their reasons.

    Laws are fitted to each study when it ends. With --with they are fitted to several studies together, which must
    have the same objective, corpus and schedule: some laws need several sizes or lengths.
    """
    if suggest_study:
        _suggest(settings, study, kind, as_json)
        return
    with connect(settings) as client:
        found = client.list_formulas(study, others or ())
    formulas = [formula for formula in found if kind in (None, formula["kind"])]
    if as_json:
        print_json(formulas)
        return
    console = results()
    for card in formula_cards(formulas):
        console.print(card)
    if not formulas:
        console.print(f"study {study} has no formulas: nothing has been fitted, or no law applies to what it varied")


def _suggest(settings: Settings, study: int, kind: str | None, as_json: bool) -> None:
    from studies.specs.yaml import dump_spec_yaml

    with connect(settings) as client:
        suggestion = client.suggest_study(study, kind)
    for reason in suggestion["reasons"]:
        typer.echo(f"{suggestion['formula']}: {reason}", err=True)
    if as_json:
        print_json(suggestion)
    else:
        typer.echo(dump_spec_yaml(suggestion["spec"]), nl=False)
