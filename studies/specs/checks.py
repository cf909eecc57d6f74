"""What the parts of a study spec say about each other."""

from pydantic import ValidationError

from model.errors import InvalidInput
from search.proxy import proxy_config, training_length
from search.space import Space
from studies.spec import StudySpec, declared_values, vocabulary_sizes
from studies.specs.composed import check_composed_sampler
from studies.specs.continuing import check_external, check_seeds, check_start
from studies.specs.model_checks import check_models
from studies.specs.rounds_checks import check_rounds
from studies.specs.sampler_checks import check_objectives, check_sampler
from studies.specs.scheduler_checks import check_scheduler
from trainer.config import LengthUnit, ProxyConfig
from trainer.plan import plan_run
from trainer.rounds.config import RoundsConfig
from trainer.stacks import STACKABLE_NAMES

LONGEST_RUNS: dict[LengthUnit, float] = {"tokens": 1e14, "bytes": 1e15, "flops": 1e27}
"""Longest runs, by unit (assumed: above every published one, so that only slips are refused)."""


def check_study(spec: StudySpec, space: Space) -> None:
    """Check everything that takes more than one field.

    Raises:
        InvalidInput: the first contradiction.
    """
    _check_length(spec)
    check_sampler(spec, space)
    check_composed_sampler(spec, space)
    check_objectives(spec)
    for check in (check_scheduler, _check_vocabularies, _check_counts, _check_stack):
        check(spec)
    check_external(spec)
    check_models(spec, space)
    check_rounds(spec)
    check_seeds(spec)
    check_start(spec, space)
    _check_runs(spec, space)


def _check_length(spec: StudySpec) -> None:
    length = training_length(spec.proxy)
    longest = LONGEST_RUNS[length.unit]
    if length.amount > longest:
        raise InvalidInput(f"proxy.train_{length.unit}", f"{length.amount:g} is a slip", f"give at most {longest:g}")


def _check_vocabularies(spec: StudySpec) -> None:
    _, (smallest, largest) = vocabulary_sizes(spec)
    if spec.proxy.train_tokens is not None and smallest < largest:
        raise InvalidInput(
            "proxy.train_tokens",
            "a larger vocabulary sees more text in as many tokens, so the study would compare amounts of data",
            "give train_bytes or train_flops instead",
        )


def _check_counts(spec: StudySpec) -> None:
    if spec.parallel_trial_count > spec.max_trial_count:
        raise InvalidInput(
            "parallel_trial_count",
            f"{spec.parallel_trial_count} is more than max_trial_count {spec.max_trial_count}",
            f"use at most {spec.max_trial_count}",
        )


def _check_stack(spec: StudySpec) -> None:
    if spec.resources_per_trial.stack == 1:
        return
    field, alone = "resources_per_trial.stack", "or write stack: 1"
    if spec.scheduler.kind != "none":
        reason = f"{spec.scheduler.kind} stops single trials, and those of a stack are trained to the end together"
        raise InvalidInput(field, reason, f"use scheduler none, {alone}")
    if "train_tokens_per_second" in [objective.metric for objective in spec.objectives]:
        raise InvalidInput(
            field, "a stacked trial's speed is its share of the program's", f"use another objective, {alone}"
        )
    if not any(len(grid) > 1 for name, grid in spec.inner.items() if name in STACKABLE_NAMES):
        reason = "inner has no grid whose points can be trained as one program"
        remedy = f"give inner two or more values of {', '.join(sorted(STACKABLE_NAMES))}, {alone}"
        raise InvalidInput(field, reason, remedy)


def _check_runs(spec: StudySpec, space: Space) -> None:
    """Make one trial's config: the settings that the space does not touch are checked by it."""
    values = space.point(dict.fromkeys(space.names, 0.5)).values
    trial = space.trial(values, 0)
    try:
        resources = spec.resources_per_trial
        config = proxy_config(
            spec.trial_settings, trial.values, trial.attributes, resources.threads, resources.gpu_share
        )
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        if not detail["loc"]:  # of fields together: the validator wrote reason and remedy
            reason, _, remedy = detail["msg"].removeprefix("Value error, ").partition("; ")
            raise InvalidInput("proxy", reason, remedy) from None
        name = str(detail["loc"][-1])
        raise InvalidInput(f"proxy.{name}", f"{detail['input']!r} does not fit", detail["msg"]) from None
    _check_rungs(spec, config)


def _check_rungs(spec: StudySpec, config: ProxyConfig) -> None:
    """Check that a run has room for what a scheduler compares and for its rounds, where that can be known without the
    text.

    Of several batches the smallest makes the longest run: where even that is too short, all are.
    """
    varied = {*spec.space, *spec.inner}
    known = config.length.unit == "tokens" and not varied & {"sequence_length", "warmup_tokens"}
    in_rounds = max(declared_values(spec, "rounds")[1]) > 1
    if not known or (spec.scheduler.kind == "none" and not in_rounds) or spec.execution == "external":
        return
    batch = min(map(int, declared_values(spec, "batch_tokens")[1]))
    if batch % config.architecture.sequence_length:
        return
    optimization = config.optimization.model_copy(update={"batch_tokens": batch})
    rounds = _easiest_rounds(spec, config) if in_rounds else config.multiple_rounds
    longest = config.model_copy(update={"optimization": optimization, "multiple_rounds": rounds})
    try:
        plan_run(longest, bytes_per_token=1.0)  # which a length in tokens does not read
    except InvalidInput as error:
        said_by = (
            declared_values(spec, error.field)[0] if error.field in ("rounds", "parts") else f"proxy.{error.field}"
        )
        raise InvalidInput(said_by, error.reason, error.remedy) from None


def _easiest_rounds(spec: StudySpec, config: ProxyConfig) -> RoundsConfig:
    """Several rounds that no trial's ask less of a run's length than: where even they do not fit, none do."""
    rounds, parts, rates = (declared_values(spec, name)[1] for name in ("rounds", "parts", "sampling_rate"))
    least = {"rounds": max(min(rounds), 2), "parts": min(parts), "sampling_rate": max(rates)}
    return config.multiple_rounds.model_copy(update=least)
