"""What a recipe rests on: the study's best trial, its laws, and how far the target lies from both."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.counts import count_parameters
from search.constraints import Budget
from search.events import Value
from search.proxy import proxy_config
from search.settings import Objective
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.formulas.regimes import completed
from studies.front import find_front
from studies.recipe.defaults import CITATIONS
from studies.recipe.evidence import Leaf
from studies.recipe.models import NO_MODELS, Models
from studies.recipe.recipe import RecipeField, default_field, derived_field, leaves, outside, trial_field
from studies.recipe.target import Target
from studies.records import Trial, TrialState
from studies.spec import StudySpec, build_space
from trainer.config import ProxyConfig, TrialSettings
from trainer.inheritance.config import InheritanceConfig

SAME_SCALE = 1.1
"""(assumed) Up to this factor a target counts as the study's own budget."""
REACH = 30.0
"""(assumed) Beyond this factor in N, settings of a trial give way to published ones. Under the standard
parametrisation the best rate, batch and head width all drift with size; under muP the rate does not."""

DIVERGED = re.compile(r"diverged|not finite|\b(?:nan|inf)\b")
"""In the reason of a failed trial: its loss had no value any more (``trainer.errors``, ``search.slot``)."""
SOLVED = frozenset({"width", "ffn_width", "ffn_ratio", "kv_heads", "depth"})
"""Follow from a study's budget, whatever it says of them."""
TRAINER_DEFAULT = "trainer.config"
BATCH = "batch_tokens"
DECAY_MODE, OPTIMIZER = "decoupled", "adamw"
"""Of every run that Formulary trains (``trainer.optim``)."""
CENTRE = "centre of the study's space (no trial is complete)"
SETTINGS: Mapping[str, str] = {
    "inheritance": "inherit_method",
    "inheritance.neurons": "inherit_method",
    "inheritance.layers": "inherit_layers",
    "multiple_rounds.selection": "round_selection",
    "multiple_rounds.losses": "round_losses",
    "distillation": "teacher",
}
"""Leaves that a spec names otherwise."""
NEEDED_OF_PARENT = ("head_dim", "rope_theta", "qk_norm")
"""What a network must share with the parent whose weights it starts from (``model.inheritance.shapes``)."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The evidence for one target."""

    target: Target
    config: ProxyConfig
    """The best trial's config; where no trial is complete, the centre of the study's space."""
    number: int | None
    """The best trial; None where no trial is complete."""
    asked_start: InheritanceConfig | None
    """How the study's trials inherit, also where its best one does not."""
    measured_parameters: tuple[float, float] | None
    """Smallest and largest N of the complete trials."""
    measured_tokens: tuple[float, float] | None
    """Fewest and most training tokens of the complete trials."""
    measured_batches: tuple[float, float] | None
    """Smallest and largest batch of the complete trials, in tokens."""
    tolerance: float
    """Largest relative distance from the target's N."""
    formulas: tuple[Formula, ...]
    """The laws that hold under the config's regime: its parametrisation, schedule, decay."""
    refused: tuple[str, ...]
    """Of the others that are not merely of the other parametrisation: in words, how each differs."""
    observations: tuple[Observation, ...]
    """All trials under the config's parametrisation."""
    diverged: frozenset[int]
    """Numbers of the failed trials whose loss diverged."""
    context: FitContext
    """What the first objective is."""
    origin: str
    """Where the config comes from where no trial is complete."""
    given: frozenset[str]
    """Settings that the study says something about; the others are the trainer's defaults."""
    models: Models
    """The parent and the teacher that a run may use."""
    of_parent: Mapping[str, Leaf]
    """Leaves that the target's own parent decides; empty where it names none."""

    @property
    def metric(self) -> str:
        """The first objective."""
        return self.context.metric

    @property
    def factor(self) -> float:
        """How many times the target's N lies outside the trials' range; infinite without trials."""
        return (
            outside(self.target.total_parameters, *self.measured_parameters) if self.measured_parameters else math.inf
        )

    @property
    def same_scale(self) -> bool:
        """Whether the target is nearly the study's own budget."""
        return self.factor <= SAME_SCALE

    @property
    def in_reach(self) -> bool:
        """Whether a trial's settings are better evidence than published ones."""
        return self.factor <= REACH

    def inherit(self, name: str, note: str = "") -> RecipeField:
        """A leaf of the best trial, or of the centre of the study's space where there is none; what the target's parent
        decides is the parent's.
        """
        value = dict(leaves(self.config))[name]
        if self.of_parent.get(name, value) != value:
            words = f"the parent's, whose weights are of use under no other; {value} without it"
            return derived_field(name, self.of_parent[name], "parent", words)
        if self.number is None:
            own = self.origin if _setting(name) in self.given else TRAINER_DEFAULT
            cited, citation = CITATIONS.get(name, (value, own))
            return default_field(name, value, citation if value == cited else own, note)
        return trial_field(name, value, self.number, note)


def gather(
    spec: StudySpec,
    trials: Sequence[Trial],
    formulas: Sequence[Formula],
    target: Target,
    origin: str = CENTRE,
    models: Models = NO_MODELS,
) -> Basis:
    """Collect the evidence of a study for a target; ``origin`` says where a config comes from that no trial ran."""
    best = best_trial(spec, trials)
    config = trial_config(spec, best, models) if best else centre_of_space(spec, models)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    sizes = [trial.metrics.get("total_parameters") for trial in complete]
    if best:
        sizes.append(count_parameters(config.architecture).total)
    laws = of_regime(config, formulas)
    said = spec.constraints.total_parameters
    objective = spec.objectives[0]
    budget = said if isinstance(said, Budget) else Budget(target=target.total_parameters)
    return Basis(
        target=target,
        config=config,
        number=best.number if best else None,
        asked_start=spec.trial_settings.inherit,
        measured_parameters=_range(sizes) or _sizes_of(laws),
        measured_tokens=_range([trial.metrics.get("train_tokens") for trial in complete]),
        measured_batches=_range(float(trial.parameters.get(BATCH, spec.proxy.batch_tokens)) for trial in complete),
        tolerance=budget.tolerance,
        formulas=laws,
        refused=tuple(_differences(config, formulas)),
        observations=_observations(config, trials),
        diverged=frozenset(trial.number for trial in trials if DIVERGED.search(trial.reason or "")),
        context=FitContext(studies=(), metric=objective.metric, direction=objective.direction, purpose=spec.purpose),
        origin=origin,
        given=_given(spec),
        models=models,
        of_parent=_of_parent(models),
    )


def _given(spec: StudySpec) -> frozenset[str]:
    """Settings that a study says something about, by their names in its ``proxy`` section or beside it."""
    beside = {name for name in ("inherit", "teacher") if getattr(spec, name) is not None}
    varied = {"inherit_method", "inherit_layers"} if spec.inherit else set()
    return frozenset({*spec.proxy.model_fields_set, *spec.space, *spec.inner, *SOLVED, *beside, *varied})


def _of_parent(models: Models) -> dict[str, Leaf]:
    parent = models.given_parent
    return {} if parent is None else {f"architecture.{name}": getattr(parent, name) for name in NEEDED_OF_PARENT}


def _sizes_of(laws: Sequence[Formula]) -> tuple[float, float] | None:
    """The sizes that laws speak of, where there is no trial."""
    return _range(end for law in laws for end in law.domain.get("total_parameters", ()))


def _observations(config: ProxyConfig, trials: Sequence[Trial]) -> tuple[Observation, ...]:
    """The trials under the config's parametrisation."""
    rows = completed([Observation.from_trial(trial) for trial in trials])
    return tuple(row for row in rows if row.attributes["parametrisation"] == config.architecture.parametrisation)


def _setting(leaf: str) -> str:
    """The name of a leaf in the ``proxy`` section of a spec, or of the section beside it."""
    room, _, name = leaf.rpartition(".")
    if leaf in SETTINGS:
        return SETTINGS[leaf]
    prefixes = {
        "initialization": f"init_{name}",
        "corpus": "corpus",
        "tokenizer_source": "tokenizer",
        "inheritance": "inherit",
        "distillation": "teacher",
    }
    return prefixes.get(room, name)


def of_regime(config: ProxyConfig, formulas: Sequence[Formula]) -> tuple[Formula, ...]:
    """The laws that hold where a run is trained as ``config`` says; what a law does not state is not compared."""
    return tuple(law for law in formulas if not _differing(config, law))


def _differing(config: ProxyConfig, law: Formula) -> dict[str, tuple[Value, Value]]:
    """Where a law's regime differs from the config's: by name, the law's value and the config's."""
    own: dict[str, Value] = {
        "parametrisation": config.architecture.parametrisation,
        "schedule": config.optimization.schedule,
        "final_learning_rate_ratio": config.optimization.final_learning_rate_ratio,
        "decay_mode": DECAY_MODE,
        "optimizer": OPTIMIZER,
    }
    stated = {**law.regime, "parametrisation": law.parametrisation}
    return {name: (stated[name], value) for name, value in own.items() if name in stated and stated[name] != value}


def _differences(config: ProxyConfig, formulas: Sequence[Formula]) -> Iterator[str]:
    for law in formulas:
        found = _differing(config, law)
        if found and "parametrisation" not in found:
            words = " and ".join(f"under {name} {theirs}, not {own}" for name, (theirs, own) in found.items())
            yield f"The law {law.kind} {law.id} is not used: it was fitted {words}."


def best_trial(spec: StudySpec, trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the best value of the objective, of several objectives the knee of their front; the
    lower number wins a tie.
    """
    if len(spec.objectives) > 1:
        return _knee(spec.objectives, trials)
    objective = spec.objectives[0]
    sign = 1 if objective.direction == "minimize" else -1
    valued = [trial for trial in trials if trial.state == TrialState.COMPLETE and objective.metric in trial.metrics]
    return min(valued, key=lambda trial: (sign * trial.metrics[objective.metric], trial.number), default=None)


def _knee(objectives: Sequence[Objective], trials: Sequence[Trial]) -> Trial | None:
    complete = {trial.number: trial for trial in trials if trial.state == TrialState.COMPLETE}
    values = {
        number: tuple(trial.metrics[objective.metric] for objective in objectives)
        for number, trial in complete.items()
        if all(objective.metric in trial.metrics for objective in objectives)
    }
    knee = find_front([objective.direction for objective in objectives], values).knee
    return None if knee is None else complete[knee]


def trial_config(spec: StudySpec, trial: Trial, models: Models = NO_MODELS) -> ProxyConfig:
    """The config that a trial was run with, as a full run takes it, which names the folders of ``models``."""
    return proxy_config(_full_run(spec, models), trial.parameters, trial.attributes, _threads(spec))


def centre_of_space(spec: StudySpec, models: Models = NO_MODELS) -> ProxyConfig:
    """The config in the middle of a study's space, for what no trial has answered."""
    space = build_space(spec)
    point = space.trial(space.point(dict.fromkeys(space.names, 0.5)).values, inner_index=0)
    return proxy_config(_full_run(spec, models), point.values, point.attributes, _threads(spec))


def _full_run(spec: StudySpec, models: Models) -> TrialSettings:
    """The trials' settings without annealed evaluations, which change nothing in a run and would lengthen a full one,
    and without ``keep_weights``, which a full run does in any case.
    """
    settings = spec.trial_settings
    changed: dict[str, Any] = {"annealed_evaluations": False, "keep_weights": False}
    if settings.inherit and models.parent:
        found: dict[str, Any] = {"parent": models.parent.folder, "parent_train_flops": models.parent.train_flops}
        changed["inherit"] = settings.inherit.model_copy(update=found)
    if settings.teacher and models.teacher:
        found = {"teacher": models.teacher.folder, "teacher_train_flops": models.teacher.train_flops}
        changed["teacher"] = settings.teacher.model_copy(update=found)
    return settings.model_copy(update=changed)


def _threads(spec: StudySpec) -> int:
    return max(int(spec.resources_per_trial.cpu), 1)


def _range(values: Iterable[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None
