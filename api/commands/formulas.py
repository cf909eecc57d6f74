"""``formulary formulas``: what a study found."""

from api.client import connect
from api.commands.options import JsonOption, StudyArgument, examples, placed
from api.settings import Settings
from api.terminal.consoles import results
from api.terminal.formula_card import formula_card
from api.terminal.streams import print_json

EXAMPLES = examples(
    "formulary formulas 3",
    "formulary formulas 3 --json",
)


@placed
def show_formulas(settings: Settings, study: StudyArgument, as_json: JsonOption = False) -> None:
    """Show a study's formulas: coefficients with intervals, and verdicts with their reasons."""
    with connect(settings) as client:
        formulas = client.list_formulas(study)
    if as_json:
        print_json(formulas)
        return
    console = results()
    for formula in formulas:
        console.print(formula_card(formula))
    if not formulas:
        console.print(f"study {study} has no formulas: nothing has been fitted, or no law applies to what it varied")
