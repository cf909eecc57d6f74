"""A trial as a full run: exactly what was trained, with checkpoints."""

from collections.abc import Iterator, Sequence

from model.errors import InvalidInput
from studies.formulas.formula import Formula
from studies.recipe.basis import of_regime, trial_config
from studies.recipe.fields.start import PARENT
from studies.recipe.fields.teacher import TEACHER
from studies.recipe.judging.plan import training_plan
from studies.recipe.laws import RATE_KIND, label, usable, use
from studies.recipe.models import NO_MODELS, Models
from studies.recipe.recipe import Recipe, RecipeField, assemble, default_field, figures, leaves, trial_field
from studies.records import Trial, TrialState
from studies.spec import StudySpec
from trainer.config import PretrainConfig, ProxyConfig

TRAINED = frozenset({TrialState.COMPLETE, TrialState.PRUNED})
PRETRAIN_DEFAULT = "PretrainConfig"
KEEP_WEIGHTS = "keep_weights"


def recipe_from_trial(spec: StudySpec, trial: Trial, formulas: Sequence[Formula], models: Models = NO_MODELS) -> Recipe:
    """The config that ``trial`` was run with; a decided law is quoted beside its rate, not used.

    ``models`` are the study's parent and teacher; of one that is not there any more a warning says so.

    Raises:
        InvalidInput: the trial did not train, names ``trial``.
    """
    if trial.state not in TRAINED:
        raise InvalidInput("trial", f"trial {trial.number} is {trial.state}", "choose a complete trial")
    config = trial_config(spec, trial, models)
    notes = {
        "optimization.learning_rate": _quoted(config, formulas),
        PARENT: models.parent.said if models.parent else "",
        TEACHER: models.teacher.said if models.teacher else "",
    }
    measured = [
        trial_field(name, value, trial.number, notes.get(name) or _origin(name, trial))
        for name, value in leaves(config)
        if name != KEEP_WEIGHTS
    ]
    recipe = assemble([*measured, *pretrain_fields()], warnings=_missing(config, models))
    return recipe.model_copy(update={"plan": training_plan(recipe.config, models)})


def pretrain_fields() -> Iterator[RecipeField]:
    """The leaves that a full run has and a trial has not, at their defaults, or has otherwise."""
    for name, field in PretrainConfig.model_fields.items():
        if name not in ProxyConfig.model_fields:
            yield default_field(name, field.default, PRETRAIN_DEFAULT)
    yield default_field(KEEP_WEIGHTS, False, PRETRAIN_DEFAULT, "a full run leaves its network in trained/")


def _missing(config: ProxyConfig, models: Models) -> Iterator[str]:
    """What the trial was trained with and is not there any more."""
    for what, wanted, found in (
        ("parent", config.inheritance, models.parent),
        ("teacher", config.distillation, models.teacher),
    ):
        if wanted is not None and (found is None or found.architecture is None):
            reason = found.problem if found is not None else "it was not looked for"
            yield f"The {what} of the trial cannot be read: {reason}. The run needs it."


def _origin(name: str, trial: Trial) -> str:
    return "varied in the study" if name.rsplit(".", 1)[-1] in trial.parameters else ""


def _quoted(config: ProxyConfig, formulas: Sequence[Formula]) -> str:
    law, _ = usable(of_regime(config, formulas), RATE_KIND, "", ("batch_tokens", "total_parameters"))
    if law is None:
        return ""
    found = use(law, {"batch_tokens": float(config.optimization.batch_tokens)})
    return f"{label(law)} gives {figures(float(f'{found.value.estimate:.3g}'))} at this batch"
