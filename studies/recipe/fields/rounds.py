"""In how many rounds the data are read, and what the later ones take."""

from collections.abc import Mapping

from studies.recipe.basis import Basis
from studies.recipe.laws import ROUNDS_KIND, newest, winner
from studies.recipe.recipe import RecipeField, formula_field, leaves

ROUNDS = "multiple_rounds.rounds"
PARAMETERS: Mapping[str, str] = {
    ROUNDS: "rounds",
    "multiple_rounds.sampling_rate": "sampling_rate",
    "multiple_rounds.parts": "parts",
    "multiple_rounds.selection": "round_selection",
    "multiple_rounds.losses": "round_losses",
}
"""Standard names of the leaves that a comparison may be about."""


def choose_rounds(basis: Basis) -> list[RecipeField]:
    """What a decided comparison prefers, else the best trial's."""
    won, reason = winner(basis, ROUNDS_KIND)
    quoted = "" if newest(basis.formulas, ROUNDS_KIND) is None else reason
    return [
        formula_field(name, won.parameters[PARAMETERS[name]], won.formula, won.note)
        if won is not None and PARAMETERS.get(name) in won.parameters
        else basis.inherit(name, quoted if name == ROUNDS else "")
        for name, _ in leaves(basis.config.multiple_rounds, "multiple_rounds.")
    ]
