"""What an export says of validations: which verdict, to which size, and what factor of extrapolation remains."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.config import FrozenConfig
from model.counts import count_parameters
from studies.recipe.recipe import Recipe, figures, outside
from studies.validation.judgement import Bounds, GateVerdict, Judgement
from studies.validation.request import ValidationPlan

HOW = "'formulary validate ID' trains the recipe and its rivals at growing sizes"


@dataclass(frozen=True, slots=True)
class Judged:
    """A validation and what came of it; without a verdict it still runs."""

    id: int
    plan: ValidationPlan
    judgement: Judgement


class ValidationStatement(FrozenConfig):
    """How far a recipe was validated."""

    verdict: GateVerdict | None
    """Of the newest validation that has ended; null where there is none."""
    validation_id: int | None = None
    validated_parameters: int | None = None
    """Largest size that it trained."""
    validated_tokens: int | None = None
    """Tokens of a run at that size."""
    extrapolation: dict[str, float] = {}  # noqa: RUF012 (frozen, and pydantic copies it)
    """How many times the recipe's parameters and tokens lie outside the sizes that were trained; 1 is inside."""
    margin: float | None = None
    regret: Bounds | None = None
    """At the largest size, in bits per byte."""
    other_choices: dict[str, str] = {}  # noqa: RUF012
    """Fields whose value comes from elsewhere than at the sizes that were trained, which those do not speak for."""
    words: tuple[str, ...]
    """The same in sentences."""


OF_A_TRIAL = ValidationStatement(
    verdict=None,
    words=("Not validated: this is the config of a trial, measured at its own size. No larger size was tried.",),
)


def statement_of(recipe: Recipe, validations: Sequence[Judged]) -> ValidationStatement:
    """Say how far a recipe for a target was validated; ``validations`` are those of its study, newest first."""
    running = [one for one in validations if one.judgement.verdict is None]
    ended = [one for one in validations if one.judgement.verdict is not None]
    waiting = tuple(f"Validation {one.id} still runs." for one in running)
    if not ended:
        return ValidationStatement(verdict=None, words=(f"Not validated: {HOW}.", *waiting))
    newest, *earlier = ended
    top, smallest = newest.plan.rungs[-1], newest.plan.rungs[0]
    parameters, tokens = count_parameters(recipe.config.architecture).total, int(recipe.config.length.amount)
    extrapolation = {
        "total_parameters": outside(parameters, smallest.total_parameters, top.total_parameters),
        "tokens": outside(tokens, smallest.tokens, top.tokens),
    }
    others = _other_choices(recipe, top.sources)
    words = [*_verdict_words(newest), *_remaining_words(extrapolation), *_choice_words(others)]
    if earlier:
        verdicts = ", ".join(f"{one.id} {one.judgement.verdict}" for one in earlier)
        words.append(f"Earlier validations of this study's recipe: {verdicts}.")
    return ValidationStatement(
        verdict=newest.judgement.verdict,
        validation_id=newest.id,
        validated_parameters=top.total_parameters,
        validated_tokens=top.tokens,
        extrapolation=extrapolation,
        margin=newest.judgement.margin,
        regret=newest.judgement.regret,
        other_choices=others,
        words=(*words, *waiting),
    )


def _verdict_words(validation: Judged) -> list[str]:
    top, judgement = validation.plan.rungs[-1], validation.judgement
    rivals = len(top.candidates) - 1
    sizes = ", ".join(f"{rung.total_parameters:,}" for rung in validation.plan.rungs)
    trained = f"against {rivals} rivals at {sizes} parameters, up to {top.tokens:,} tokens a run"
    lead = "Validated" if judgement.verdict == "passed" else "Not validated"
    return [f"{lead}: validation {validation.id} {judgement.verdict}, {trained}.", *map(_sentence, judgement.reasons)]


def _remaining_words(extrapolation: dict[str, float]) -> list[str]:
    factors = {"parameters": extrapolation["total_parameters"], "tokens": extrapolation["tokens"]}
    beyond = [f"×{figures(factor)} in {name}" for name, factor in factors.items() if factor > 1]
    if not beyond:
        return ["This config lies inside the sizes that were trained: nothing is extrapolated."]
    return [f"A factor of extrapolation remains: {' and '.join(beyond)}. Nothing was trained there."]


def _other_choices(recipe: Recipe, sources: dict[str, str]) -> dict[str, str]:
    found = {field.name: f"{field.source}: {field.reference}" for field in recipe.fields if field.name in sources}
    return {name: f"{found[name]}; at the sizes trained {was}" for name, was in sources.items() if found[name] != was}


def _choice_words(others: dict[str, str]) -> list[str]:
    return [f"{name} comes from {said}: the validation does not speak for it." for name, said in others.items()]


def _sentence(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:]}."
