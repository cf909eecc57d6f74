"""Recipes on a small corpus, of any shape."""

from collections.abc import Mapping
from typing import Any

from search.space import Space
from studies.recipe import Recipe, Target, recipe_for_target
from studies.recipe.models import NO_MODELS, Models
from studies.recipe.recipe import assemble
from studies.records import Trial, TrialState
from studies.spec import StudySpec
from trainer.config import BuiltinCorpus, JsonlCorpus

SPEC = StudySpec.model_validate(
    {
        "name": "a | study\nof <exports>",
        "proxy": {
            "train_tokens": 20_480,
            "sequence_length": 64,
            "vocabulary_size": 512,
            "head_dim": 16,
            "width": 64,
            "depth": 3,
            "learning_rate": 1e-2,
            "batch_tokens": 512,
            "validation_bytes": 4000,
            "evaluations": 1,
        },
        "max_trial_count": 1,
    }
)
STEPS = 20


def recipe_on(
    corpus: JsonlCorpus | BuiltinCorpus,
    models: Models = NO_MODELS,
    sections: Mapping[str, Any] | None = None,
    **proxy: Any,
) -> Recipe:
    """A recipe of the study's one trial; ``sections`` are those beside ``proxy``."""
    plain = SPEC.model_copy(update={"proxy": SPEC.proxy.model_copy(update={"corpus": corpus, **proxy})})
    spec = StudySpec.model_validate({**dict(plain), **(sections or {})})
    point = Space.build(spec.space, spec.inner, spec.constraints, spec.proxy).describe({})
    metrics = {"bits_per_byte": 3.0, "total_parameters": float(point.attributes["total_parameters"])}
    trial = Trial(0, TrialState.COMPLETE, point.values, metrics, point.attributes, None, 1, None, None)
    target = Target(total_parameters=200_000, tokens=STEPS * 512)
    return recipe_for_target(spec, [trial], [], target, models=models)


def changed(recipe: Recipe, **leaves: Any) -> Recipe:
    """The recipe with other values of the leaves whose last names are given, however they go together."""
    fields = [
        field.model_copy(update={"value": leaves.get(field.name.rpartition(".")[2], field.value)})
        for field in recipe.fields
    ]
    return assemble(fields, recipe.extrapolation, recipe.warnings)
