"""A trial as a full run: exactly what was trained, with checkpoints."""

from collections.abc import Iterator, Sequence

from model.errors import InvalidInput
from studies.formulas.formula import Formula
from studies.recipe.basis import of_regime, trial_config
from studies.recipe.laws import RATE_KIND, label, usable, use
from studies.recipe.recipe import Recipe, RecipeField, assemble, default_field, figures, leaves, trial_field
from studies.records import Trial, TrialState
from studies.spec import StudySpec
from trainer.config import PretrainConfig, ProxyConfig

TRAINED = frozenset({TrialState.COMPLETE, TrialState.PRUNED})
PRETRAIN_DEFAULT = "PretrainConfig"


def recipe_from_trial(spec: StudySpec, trial: Trial, formulas: Sequence[Formula]) -> Recipe:
    """The config that ``trial`` was run with; a decided law is quoted beside its rate, not used.

    Raises:
        InvalidInput: the trial did not train, names ``trial``.
    """
    if trial.state not in TRAINED:
        raise InvalidInput("trial", f"trial {trial.number} is {trial.state}", "choose a complete trial")
    config = trial_config(spec, trial)
    notes = {"optimization.learning_rate": _quoted(config, formulas)}
    measured = [
        trial_field(name, value, trial.number, notes.get(name) or _origin(name, trial))
        for name, value in leaves(config)
    ]
    return assemble([*measured, *pretrain_fields()])


def pretrain_fields() -> Iterator[RecipeField]:
    """The leaves that a full run has and a trial has not, at their defaults."""
    for name, field in PretrainConfig.model_fields.items():
        if name not in ProxyConfig.model_fields:
            yield default_field(name, field.default, PRETRAIN_DEFAULT)


def _origin(name: str, trial: Trial) -> str:
    return "varied in the study" if name.rsplit(".", 1)[-1] in trial.parameters else ""


def _quoted(config: ProxyConfig, formulas: Sequence[Formula]) -> str:
    law, _ = usable(of_regime(config, formulas), RATE_KIND, "", ("batch_tokens", "total_parameters"))
    if law is None:
        return ""
    found = use(law, {"batch_tokens": float(config.optimization.batch_tokens)})
    return f"{label(law)} gives {figures(float(f'{found.value.estimate:.3g}'))} at this batch"
