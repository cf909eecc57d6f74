"""The study spec: what a user POSTs, versioned, frozen, and checked before anything is spent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from model.config import FrozenConfig
from search.constraints import Constraints
from search.events import Value
from search.given import given_point
from search.laws import Law
from search.parameters import CategoricalParameter, Choice, Parameter
from search.problem import SearchProblem
from search.samplers.methods import DEFAULTS, MAX_OBJECTIVES, METHODS
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec, Seeds
from search.space import Space
from search.start import EarlierTrial, Start
from search.stopping import stopping_rule
from trainer.config import ProxySettings, TrialSettings
from trainer.distillation.config import DistillationConfig, DistillationSettings
from trainer.inheritance.config import InheritanceConfig, InheritanceSettings

MAX_TRIALS = 1_000_000
Purpose = Literal["estimate", "optimise"]
Grid = Annotated[tuple[Choice, ...], Field(min_length=1, max_length=1000)]
ParentValues = Annotated[Grid, BeforeValidator(lambda value: value if isinstance(value, list | tuple) else [value])]
"""Values of a parent; one alone may be written without brackets."""
Condition = Annotated[dict[str, ParentValues], Field(max_length=10)]


MAX_POINTS = 1000
"""Most points that are given at once (assumed: more than anybody writes)."""
GivenPoint = Annotated[dict[Annotated[str, Field(max_length=200)], Choice], Field(max_length=50)]
LawName = Literal["step_law", "deepseek", "study"]
StudyId = Annotated[int, Field(ge=1, le=2**31 - 1)]


class StudyHeader(FrozenConfig):
    """What every study has, whether its trials are run or imported."""

    version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    purpose: Purpose = "estimate"
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1, max_length=MAX_OBJECTIVES)] = (
        Objective(metric="bits_per_byte"),
    )


class StartSpec(FrozenConfig):
    """What a study begins with."""

    points: Annotated[tuple[GivenPoint, ...], Field(max_length=MAX_POINTS)] = ()
    """Outer points that run first, in this order; no part of a declared design."""
    studies: Annotated[tuple[StudyId, ...], Field(max_length=20)] = ()
    """Earlier studies whose trials the sampler is told; ``study`` may be written for a single one."""
    law: LawName | None = None
    """Where the best learning rate and batch are expected: a published law, or ``study``, that of the earlier studies;
    left out, that of the earlier studies where they have one."""

    @model_validator(mode="before")
    @classmethod
    def _from_one_study(cls, value: object) -> object:
        if isinstance(value, dict) and "study" in value and "studies" not in value:
            return {**{name: given for name, given in value.items() if name != "study"}, "studies": [value["study"]]}
        return value


class ModelFolder(FrozenConfig):
    """A folder that ``transformers`` loads, or one in which ``formulary pretrain`` has trained."""

    kind: Literal["folder"]
    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """Below a folder that the operator allowed."""

    @property
    def location(self) -> str:
        """Where its weights are."""
        return self.path


class ModelOfTrial(FrozenConfig):
    """The weights of a trial whose study has ``keep_weights``."""

    kind: Literal["trial"]
    study: StudyId
    trial: Annotated[int, Field(ge=0)] | Literal["best"] = "best"

    @property
    def location(self) -> str:
        """What stands for the folder until the study begins, which finds it by the trial's attributes."""
        return f"study {self.study}, trial {self.trial}"


TrainedModel = Annotated[ModelFolder | ModelOfTrial, Field(discriminator="kind")]


class InheritSpec(InheritanceSettings):
    """From which model trials inherit their initial weights, and how, unless the space varies it."""

    parent: TrainedModel


class TeacherSpec(DistillationSettings):
    """From which model trials learn beside the text."""

    model: TrainedModel


class StudySpec(StudyHeader):
    """A whole study; see docs/spec.md for a commented example.

    A sampler whose kind is left out is the purpose's own (``search.samplers.methods.DEFAULTS``).
    """

    description: Annotated[str, Field(max_length=10_000)] = ""
    tags: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=50)] = ()
    execution: Literal["ray", "external"] = "ray"
    """Who trains: workers here, through Ray, or others, who ask for trials and tell what came of them."""
    space: Annotated[dict[str, Parameter], Field(max_length=50)] = Field(default_factory=dict)
    """What the sampler varies; empty for a single outer point."""
    inner: Annotated[dict[str, Grid], Field(max_length=20)] = Field(default_factory=dict)
    """Grids at which every outer point is trained."""
    conditions: Annotated[dict[str, Condition], Field(max_length=50)] = Field(default_factory=dict)
    """Which parameters exist only at some values of others: child → parent → those values."""
    constraints: Constraints = Constraints()
    sampler: SamplerSpec = SamplerSpec()
    scheduler: SchedulerSpec = SchedulerSpec()
    proxy: ProxySettings
    inherit: InheritSpec | None = None
    teacher: TeacherSpec | None = None
    start: StartSpec = StartSpec()
    seeds: Seeds = Seeds()
    """Fresh seeds on which the leaders are trained again at the end; a number, or with ``leaders``."""
    allow_duplicates: bool = False
    """Whether an outer point is trained again when the sampler chooses it again."""
    max_trial_count: Annotated[int, Field(ge=1, le=MAX_TRIALS)]
    """Trials that end, whatever their state; fewer when the space is finite and exhausted."""
    parallel_trial_count: Annotated[int, Field(ge=1, le=4096)] = 1
    resources_per_trial: Resources = Resources()

    @property
    def trial_settings(self) -> TrialSettings:
        """What every trial is told beside its values."""
        proxy, inherit, teacher = self.proxy, self.inherit, self.teacher
        return TrialSettings(
            **{name: getattr(proxy, name) for name in proxy.model_fields_set},
            inherit=inherit
            and InheritanceConfig(parent=inherit.parent.location, **inherit.model_dump(exclude={"parent"})),
            teacher=teacher
            and DistillationConfig(teacher=teacher.model.location, **teacher.model_dump(exclude={"model"})),
        )

    @field_validator("proxy")
    @classmethod
    def _anneal(cls, proxy: ProxySettings, info: ValidationInfo) -> ProxySettings:
        """A scheduler compares annealed losses: what the user left open becomes a run that has them."""
        scheduler = info.data.get("scheduler")
        if scheduler is None or scheduler.kind == "none":
            return proxy
        compared = stopping_rule(scheduler, proxy.evaluations, seed=0).evaluations
        wanted = {"schedule": "wsd", "annealed_evaluations": compared or True}
        missing = {name: value for name, value in wanted.items() if name not in proxy.model_fields_set}
        return proxy.model_copy(update=missing)

    @model_validator(mode="before")
    @classmethod
    def _sampler_of_purpose(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        purpose, sampler = value.get("purpose", "estimate"), value.get("sampler", {})
        if purpose not in tuple(DEFAULTS) or not isinstance(sampler, Mapping) or "kind" in sampler:
            return value
        return {**value, "sampler": {**sampler, "kind": DEFAULTS[purpose]}}


class ImportedColumns(FrozenConfig):
    """How the columns of an imported table are kept."""

    parameters: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


class ImportSpec(StudyHeader):
    """A study whose trials come from a table."""

    execution: Literal["imported"] = "imported"
    columns: ImportedColumns
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the file's bytes."""
    rows: Annotated[int, Field(ge=1)]
    unusable: tuple[str, ...] = ()
    """Cells that are not finite, by line; the first of them where there are many."""


def build_space(spec: StudySpec, settings: TrialSettings | None = None) -> Space:
    """The space of a spec.

    Args:
        spec: the spec.
        settings: what its trials are told, where that is more than the spec says: folders instead of trials.

    Raises:
        InvalidInput: a parameter is unknown, out of bounds or given twice, or no point is legal.
    """
    shared = settings or spec.trial_settings
    return Space.build(spec.space, spec.inner, spec.constraints, shared, spec.conditions)


_OF_PARENT = {"inherit_method": "inherit.neurons", "inherit_layers": "inherit.layers"}
"""Fields of the parameters that every trial shares without ``proxy`` having them."""


def declared_values(spec: StudySpec, name: str) -> tuple[str, Sequence[Any]]:
    """The field that says which values of a parameter trials have, and values, its smallest and largest among them."""
    declared, shared = spec.space.get(name), getattr(spec.trial_settings, name)
    if declared is None:
        return (
            (f"inner.{name}", spec.inner[name])
            if name in spec.inner
            else (_OF_PARENT.get(name, f"proxy.{name}"), (shared,))
        )
    values = declared.choices if isinstance(declared, CategoricalParameter) else (declared.low, declared.high)
    return f"space.{name}", (*values, shared) if name in spec.conditions else values


def vocabulary_sizes(spec: StudySpec) -> tuple[str, tuple[int, int]]:
    """The field that says which vocabularies trials have, and the smallest and the largest of them."""
    name = "vocabulary_size"
    field, values = declared_values(spec, name)
    solved = spec.constraints.solved
    if solved is not None and solved[1].solve_for == name:
        field, values = f"constraints.{solved[0]}.range", solved[1].bounds
    sizes = [int(value) for value in values]
    return field, (min(sizes), max(sizes))


def search_problem(
    spec: StudySpec,
    study: str,
    storage: Path,
    earlier: tuple[EarlierTrial, ...] = (),
    law: Law | None = None,
    settings: TrialSettings | None = None,
) -> SearchProblem:
    """What the search of a stored spec is given.

    Args:
        spec: the spec.
        study: the study's label, e.g. ``study-12``.
        storage: root of shards, tokenizers and exports.
        earlier: trials of the studies that the spec starts from.
        law: the law that it starts from. A sampler that does not know laws gets its point as the last one of the start.
        settings: see ``build_space``.
    """
    space = build_space(spec, settings)
    points: tuple[Mapping[str, Value], ...] = spec.start.points
    if law is not None and not METHODS[spec.sampler.kind].knows_laws:
        points = (*points, *_point_of_law(space, law, spec))
    return SearchProblem(
        study=study,
        space=space,
        objectives=spec.objectives,
        sampler=spec.sampler,
        scheduler=spec.scheduler,
        max_trial_count=spec.max_trial_count,
        parallel_trial_count=spec.parallel_trial_count,
        resources=spec.resources_per_trial,
        storage=storage,
        start=Start(points, law, earlier),
        seeds=spec.seeds,
        allow_duplicates=spec.allow_duplicates,
    )


def _point_of_law(space: Space, law: Law, spec: StudySpec) -> tuple[Mapping[str, Value], ...]:
    """The point that a law expects to be the best, unless it is among those of the start."""
    from search.samplers.bowl.expected import expected_point  # loads SciPy

    point = expected_point(space, law, np.random.default_rng(spec.sampler.seed)).values
    places = enumerate(spec.start.points)
    given = [given_point(space, values, f"start.points.{place}").values for place, values in places]
    return () if point in given else (point,)


def stored_spec(document: Mapping[str, Any]) -> StudySpec | ImportSpec:
    """Read the spec of a stored study back."""
    kind = ImportSpec if document.get("execution") == "imported" else StudySpec
    return kind.model_validate(document)
