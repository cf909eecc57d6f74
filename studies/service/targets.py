"""Targets as they are asked for, and the recipes of presets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from model.errors import InvalidInput
from studies.recipe import Recipe, Target
from studies.recipe.presets import find_preset
from studies.recipe_models import given_models

LARGEST_TARGET = 10**18
"""Largest number that is looked at; what a config can hold is less, and ``Target.check`` says so."""
NEEDED = ("total_parameters", "tokens")


def _whole(value: object) -> object:
    """A whole number that is written with an exponent, e.g. ``1.6e12``; anything else as it is."""
    if isinstance(value, str) and not value.strip().isdecimal():
        try:
            number = float(value)
        except ValueError:
            return value
        return int(number) if abs(number) <= LARGEST_TARGET and number.is_integer() else value
    return value


Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=LARGEST_TARGET)]
ModelPath = Annotated[str, Field(min_length=1, max_length=4096)]
Amount = Annotated[float, Field(gt=0, le=LARGEST_TARGET, allow_inf_nan=False)]


class TargetRequest(BaseModel):
    """A model for which a recipe is wanted. Numbers may be texts, as in a query."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    total_parameters: Count | None = None
    """N, embedding and head included."""
    tokens: Count | None = None
    """D, training tokens. Both make a target, which the fields below describe further."""
    gpus: Count | None = None
    """GPUs that train; 1 where only their kind is said."""
    gpu: Annotated[str, Field(max_length=50)] | None = None
    """Their kind, e.g. ``h100``."""
    gpu_memory_gib: Amount | None = None
    """Memory of one of them; that of its kind when left out."""
    gpu_peak_flops: Amount | None = None
    """Dense FLOPs a second of one of them in bfloat16; those of its kind when left out."""
    decode_tokens_per_second: Amount | None = None
    """Slowest decoding that is accepted, of one sequence."""
    max_batch_tokens: Count | None = None
    """Largest batch that is accepted."""
    parent: ModelPath | None = None
    """Folder, below one that the operator allowed, of a larger network to inherit from; else the study's parent."""
    teacher: ModelPath | None = None
    """Folder, below one that the operator allowed, of a network to learn from; else the study's teacher."""

    def target(self) -> Target | None:
        """The target; None where nothing is asked.

        Raises:
            InvalidInput: only a part of it is given; names what is missing.
        """
        given: dict[str, Any] = {name: getattr(self, name) for name in Target.model_fields}
        said = {name: value for name, value in given.items() if value is not None}
        if not said:
            return None
        for name in NEEDED:
            if name not in said:
                raise InvalidInput(name, "a target needs both total_parameters and tokens", f"give {name} too")
        return Target(**said)

    def with_real_paths(self, roots: Sequence[Path] | None) -> Self:
        """The same request with the real paths of parent and teacher, which lie below one of ``roots``."""
        target = self.target()
        found = given_models(target, roots)
        named = {"parent": found.parent, "teacher": found.teacher}
        return self.model_copy(update={name: model.folder for name, model in named.items() if model is not None})


def preset_recipe(name: str, request: TargetRequest, roots: Sequence[Path]) -> Recipe:
    """The recipe of a preset's findings for a target, whose parent and teacher lie below one of ``roots``.

    Raises:
        NotFound: there is no such preset.
        InvalidInput: no target is given, or no config can meet it.
    """
    preset, target = find_preset(name), request.target()
    if target is None:
        raise InvalidInput(
            NEEDED[0], "a preset has no trials to take a config from", "give total_parameters and tokens"
        )
    return preset.recipe(target, given_models(target, roots))
