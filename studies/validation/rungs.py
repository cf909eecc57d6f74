"""One size as an ordinary study: the candidates are its points, the seeds its inner grid.

A point says what trials can vary; what is the same in all candidates stands in ``proxy``. The FFN width is what the
budget of parameters leaves, so that it is exactly the recipe's, and rivals have as many parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model.counts import count_parameters, training_flops_per_token
from search.given import given_point
from search.proxy import proxy_config
from studies.recipe import Recipe
from studies.recipe.evidence import TrainingPlan
from studies.recipe.fields.shape import FFN_RATIOS
from studies.recipe.recipe import leaves
from studies.spec import StudySpec, build_space
from studies.specs.parsing import parse_spec
from studies.validation.candidates import Candidate, candidates_of, distinct
from studies.validation.request import CandidatePlan, RungPlan
from trainer.config import OptimizationConfig, PretrainConfig, ProxySettings
from trainer.inheritance.config import InheritanceSettings
from trainer.plan import plan_run

TAG = "validation"
EXACT = 1e-9
"""Tolerance of the budget beyond the distance of the candidates from each other (derived: no network has 10^9 times as
many parameters as its FFN has channels, so that only their own FFN widths are met)."""
SOURCES = ("architecture.depth", "architecture.width", "optimization.learning_rate", "optimization.batch_tokens")
"""Fields whose source is kept, to be compared with that of a recipe that is exported."""
METHOD = "inherit_method"
ROUNDS = {
    "rounds": "rounds",
    "sampling_rate": "sampling_rate",
    "parts": "parts",
    "round_selection": "selection",
    "round_losses": "losses",
}
"""What a trial can say of its rounds, by its standard names, and the fields of the config."""
RUN_LEAVES = frozenset(
    {
        "seed",
        "precision",
        "evaluations",
        "annealed_evaluations",
        "compilation",
        "threads",
        "gpu_share",
        "micro_batch_tokens",
        "optimization.warmup_tokens",
        "optimization.warmup_ratio",
        "length.unit",
        "length.amount",
        "keep_weights",
        "multiple_rounds.forgetting",
        "inheritance.parent",
        "inheritance.parent_train_flops",
        "distillation.teacher",
        "distillation.teacher_train_flops",
    }
)
"""Leaves that are no part of what is validated, or that are trained in another notation."""


def plan_rung(
    spec: StudySpec, recipe: Recipe, tokens: int, seeds: Sequence[int], name: str
) -> tuple[RungPlan, StudySpec]:
    """Plan one size.

    Args:
        spec: the study whose recipe is validated.
        recipe: its recipe at this size.
        tokens: training tokens of each run.
        seeds: of the runs of each candidate.
        name: of the new study.

    Raises:
        InvalidInput: a candidate cannot be trained.
    """
    placed = list(distinct(candidates_of(recipe, tokens)))
    configs = list({place: candidate.config for candidate, place in placed}.values())
    rung_spec = parse_spec(_document(spec, configs, tokens, seeds, name))
    flops = len(seeds) * sum(run_flops(config, recipe.plan) for config in configs)
    sources = {field.name: f"{field.source}: {field.reference}" for field in recipe.fields if field.name in SOURCES}
    plan = RungPlan(
        total_parameters=count_parameters(recipe.config.architecture).total,
        tokens=tokens,
        train_flops=flops,
        seeds=tuple(seeds),
        candidates=tuple(_candidate_plan(candidate, place) for candidate, place in placed),
        sources=sources,
        held=(*_held(rung_spec, recipe.config), *_drawn(spec, recipe)),
    )
    return plan, rung_spec


def _candidate_plan(candidate: Candidate, place: int) -> CandidatePlan:
    architecture, optimization = candidate.config.architecture, candidate.config.optimization
    return CandidatePlan(
        name=candidate.name,
        reference=candidate.reference,
        point=place,
        depth=architecture.depth,
        width=architecture.width,
        ffn_width=architecture.ffn_width,
        learning_rate=optimization.learning_rate,
        batch_tokens=optimization.batch_tokens,
        weight_decay=optimization.weight_decay,
        warmup_tokens=optimization.warmup_tokens,
    )


def run_flops(config: PretrainConfig, plan: TrainingPlan | None = None) -> float:
    """Training FLOPs of one run, in whole steps, with what inheriting and a teacher take by the recipe's plan."""
    tokens = float(plan_run(config, bytes_per_token=1.0).steps * config.optimization.batch_tokens)
    flops = tokens * training_flops_per_token(config.architecture)
    if plan is not None and plan.start is not None and config.inheritance is not None:
        flops += plan.start.flops
    if plan is not None and plan.teacher is not None and config.distillation is not None:
        flops += tokens * plan.teacher.flops_per_token
    return flops


def _document(
    spec: StudySpec, configs: Sequence[PretrainConfig], tokens: int, seeds: Sequence[int], name: str
) -> dict[str, Any]:
    said = _with_numbers([_said(config) for config in configs], configs)
    inherits = any(config.inheritance is not None for config in configs)
    if not inherits or len({values[METHOD] for values in said}) == 1:
        said = [{name: value for name, value in values.items() if name != METHOD} for values in said]
    varied = [name for name in said[0] if len({values[name] for values in said}) > 1]
    same = {name: value for name, value in said[0].items() if name not in varied}
    points = [{name: values[name] for name in varied} for values in said]
    sizes = [count_parameters(config.architecture).total for config in configs]
    low, high = FFN_RATIOS
    return {
        "name": name,
        "purpose": "estimate",
        "description": f"One size of a validation of the recipe of the study {spec.name!r}."[:10_000],
        "tags": [TAG],
        "space": {
            name: {"type": "categorical", "choices": list(dict.fromkeys(point[name] for point in points))}
            for name in varied
        },
        "inner": {"seed": list(seeds)},
        "constraints": {
            "total_parameters": {
                "target": sizes[0],
                "tolerance": max(abs(size / sizes[0] - 1) for size in sizes) + EXACT,
                "solve_for": "ffn_ratio",
                "range": {"low": low, "high": high},
            }
        },
        "sampler": {"kind": "random"},
        "proxy": _proxy(spec.proxy, configs[0], same, tokens),
        **_models(spec, configs),
        "start": {"points": points},
        "max_trial_count": len(points) * len(seeds),
        "parallel_trial_count": spec.parallel_trial_count,
        "resources_per_trial": spec.resources_per_trial.model_dump(mode="json"),
    }


def _models(spec: StudySpec, configs: Sequence[PretrainConfig]) -> dict[str, Any]:
    """The study's own parent and teacher, where the recipe has them; its way to inherit is that of every candidate."""
    found: dict[str, Any] = {}
    how = next((config.inheritance for config in configs if config.inheritance is not None), None)
    if how is not None and spec.inherit is not None:
        settings = how.model_dump(include=set(InheritanceSettings.model_fields))
        found["inherit"] = {**spec.inherit.model_dump(mode="json"), **settings}
    if configs[0].distillation is not None and spec.teacher is not None:
        found["teacher"] = spec.teacher.model_dump(mode="json")
    return found


def _drawn(spec: StudySpec, recipe: Recipe) -> Iterator[str]:
    """Where the study's parent or teacher is of no use at this size."""
    for name, has in (("inheritance", spec.inherit), ("distillation", spec.teacher)):
        field = next((field for field in recipe.fields if field.name == name), None)
        if has is not None and field is not None and field.source == "default" and field.note:
            yield f"{name}: none, for recipe and rivals, because {field.note}"


def _proxy(settings: ProxySettings, recipe: PretrainConfig, same: Mapping[str, Any], tokens: int) -> dict[str, Any]:
    """The study's own settings, with what the recipe says that no candidate changes."""
    lengths = {"train_bytes": None, "train_flops": None, "train_tokens": tokens}
    optimization = recipe.optimization.model_dump(include=set(ProxySettings.model_fields) & _OPTIMIZATION)
    architecture = recipe.architecture.model_dump(include={"tied_head", "mask_documents", "qk_norm", "rope_theta"})
    base = recipe.architecture.mup_base_width
    return {
        **settings.model_dump(mode="json"),
        **optimization,
        **architecture,
        **({} if base is None else {"mup_base_width": base}),
        **same,
        **lengths,
        "annealed_evaluations": False,
        "keep_weights": False,
    }


_OPTIMIZATION = set(OptimizationConfig.model_fields)


def _said(config: PretrainConfig) -> dict[str, Any]:
    """What a trial can say of a config, by its standard names."""
    architecture, optimization, initialization = config.architecture, config.optimization, config.initialization
    return {
        **architecture.model_dump(
            include={"block", "depth", "width", "vocabulary_size", "head_dim", "kv_heads", "sequence_length"}
        ),
        **optimization.model_dump(include={"learning_rate", "batch_tokens", "weight_decay", "warmup_tokens"}),
        "init_scheme": initialization.scheme,
        "init_std": initialization.std,
        **{name: getattr(config.multiple_rounds, field) for name, field in ROUNDS.items()},
        METHOD: "none" if config.inheritance is None else config.inheritance.neurons,
    }


def _with_numbers(said: list[dict[str, Any]], configs: Sequence[PretrainConfig]) -> list[dict[str, Any]]:
    """The same; a deviation that only some candidates leave open becomes the number that it stands for."""
    if len({values["init_std"] for values in said}) == 1:
        return said
    numbers = [config.initialization.std_at(config.architecture.base_width) for config in configs]
    return [{**values, "init_std": number} for values, number in zip(said, numbers, strict=True)]


def _held(rung: StudySpec, recipe: PretrainConfig) -> list[str]:
    """Leaves in which the trained run differs from the recipe."""
    space = build_space(rung)
    point = given_point(space, rung.start.points[0], "start.points.0")
    trial = space.trial(point.values, 0)
    trained = dict(leaves(proxy_config(rung.trial_settings, trial.values, trial.attributes, recipe.threads)))
    return [
        f"{name}: the recipe has {value}, the runs have {trained[name]}"
        for name, value in leaves(recipe)
        if name in trained and name not in RUN_LEAVES and value != trained[name]
    ]
