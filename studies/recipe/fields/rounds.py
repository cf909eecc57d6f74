"""In how many rounds the data are read, and what the later ones take."""

from collections.abc import Mapping

from model.errors import InvalidInput
from studies.recipe.basis import Basis
from studies.recipe.fields.start import Chosen
from studies.recipe.laws import ROUNDS_KIND, newest, winner
from studies.recipe.recipe import RecipeField, default_field, derived_field, formula_field, leaves
from trainer.rounds.config import RoundsConfig
from trainer.rounds.plan import plan_rounds

ROOM = "multiple_rounds"
ROUNDS, FORGETTING = f"{ROOM}.rounds", f"{ROOM}.forgetting"
PARAMETERS: Mapping[str, str] = {
    ROUNDS: "rounds",
    f"{ROOM}.sampling_rate": "sampling_rate",
    f"{ROOM}.parts": "parts",
    f"{ROOM}.selection": "round_selection",
    f"{ROOM}.losses": "round_losses",
}
"""Standard names of the leaves that a comparison may be about."""


def choose_rounds(basis: Basis, batch_tokens: int) -> Chosen:
    """What a decided comparison prefers, else the best trial's; one round where the run is too short for more."""
    fields = _preferred(basis)
    config = RoundsConfig.model_validate({field.name.removeprefix(f"{ROOM}."): field.value for field in fields})
    try:
        plan_rounds(config, round(basis.target.tokens / batch_tokens))
    except InvalidInput as error:
        one = derived_field(ROUNDS, 1, "tokens", f"{config.rounds} rounds do not fit: {error.reason}")
        others = (field for field in fields if field.name != ROUNDS)
        warning = f"The run is too short for {config.rounds} rounds ({error.reason}): it makes one."
        return Chosen((one, *others), (warning,))
    return Chosen(fields)


def _preferred(basis: Basis) -> tuple[RecipeField, ...]:
    won, reason = winner(basis, ROUNDS_KIND)
    quoted = "" if newest(basis.formulas, ROUNDS_KIND) is None else reason
    said = {} if won is None else won.parameters
    found = []
    for name, _ in leaves(basis.config.multiple_rounds, f"{ROOM}."):
        if name == FORGETTING:
            note = "left out: measured where there are several rounds"
            found.append(default_field(name, None, "RoundsConfig", note))
        elif won is not None and PARAMETERS[name] in said:
            found.append(formula_field(name, said[PARAMETERS[name]], won.formula, won.note))
        else:
            found.append(basis.inherit(name, quoted if name == ROUNDS else ""))
    return tuple(found)
