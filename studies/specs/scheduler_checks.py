"""What the scheduler of a spec and the rest of it say about each other."""

from collections.abc import Iterator, Mapping

from model.errors import InvalidInput
from search.settings import SchedulerSpec
from search.stopping import stopping_rule
from search.stopping.halving import rungs
from studies.spec import StudySpec
from trainer.config import evaluation_numbers

EVALUATED_METRICS = frozenset({"bits_per_byte", "validation_loss"})
"""Metrics that a run reports while it trains."""

_FIELDS: Mapping[str, frozenset[str]] = {
    "none": frozenset(),
    "asha": frozenset({"reduction_factor", "grace_evaluations"}),
    "hyperband": frozenset({"reduction_factor", "grace_evaluations"}),
    "curve": frozenset({"grace_evaluations", "least_chance"}),
}
"""The fields that each kind reads."""

LEAST_CURVE_EVALUATIONS = 5
"""Evaluations of a run, so that three of 1, 2, 4, … precede its end."""


def check_scheduler(spec: StudySpec) -> None:
    """Check that the scheduler has what it compares.

    Raises:
        InvalidInput: a field of another kind, a study for formulas, an objective that is only known at the end, too few
            evaluations, or evaluations that are not annealed.
    """
    _check_fields(spec.scheduler)
    if spec.scheduler.kind == "none":
        return
    if spec.purpose == "estimate":
        reason = f"{spec.scheduler.kind} chooses by outcome, and formulas need trials that were not"
        raise InvalidInput("scheduler.kind", reason, "use none, or set purpose: optimise")
    _check_objective(spec)
    _check_evaluations(spec)
    _check_annealed(spec)


def scheduler_warnings(spec: StudySpec) -> Iterator[str]:
    """What comparing annealed losses means for the runs of a study."""
    if spec.scheduler.kind == "none" or not spec.proxy.annealed_evaluations:
        return
    proxy = spec.proxy
    *early, last = evaluation_numbers(proxy.evaluations, proxy.annealed_evaluations)
    listed = ", ".join(map(str, early))
    share = proxy.cooldown_ratio * sum(early) / last
    yield (
        f"scheduler: {spec.scheduler.kind} compares annealed losses, so that runs have the schedule wsd and cool down "
        f"for evaluations {listed} of {last} as well, which adds {share:.0%} to a whole run"
    )


def _check_fields(scheduler: SchedulerSpec) -> None:
    for name, field in SchedulerSpec.model_fields.items():
        foreign = name != "kind" and name not in _FIELDS[scheduler.kind]
        if foreign and getattr(scheduler, name) != field.default:
            users = ", ".join(kind for kind, fields in _FIELDS.items() if name in fields)
            raise InvalidInput(
                f"scheduler.{name}", f"is not read by kind {scheduler.kind}", f"leave it out, or use {users}"
            )


def _check_objective(spec: StudySpec) -> None:
    kind = spec.scheduler.kind
    metric = spec.objectives[0].metric
    if metric not in EVALUATED_METRICS:
        raise InvalidInput(
            "scheduler.kind",
            f"{kind} compares running trials, and {metric} is known at their end",
            f"use none, or one of {', '.join(sorted(EVALUATED_METRICS))} as the objective",
        )


def _check_evaluations(spec: StudySpec) -> None:
    """Where no trial could be stopped before its end, or every bracket but one is the same, a field is a slip."""
    scheduler, evaluations = spec.scheduler, spec.proxy.evaluations
    if scheduler.kind == "curve":
        if evaluations < LEAST_CURVE_EVALUATIONS:
            reason = f"curve needs the losses of evaluations 1, 2 and 4 before the end, and a run has {evaluations}"
            remedy = (
                f"give at least {LEAST_CURVE_EVALUATIONS}; with 16 a trial can be stopped after a quarter of its run"
            )
            raise InvalidInput("proxy.evaluations", reason, remedy)
        latest = stopping_rule(scheduler, evaluations, seed=0).evaluations[-1]
        if scheduler.grace_evaluations > latest:
            reason = (
                f"curve judges trials at evaluations 4, 8, … of {evaluations}, all before {scheduler.grace_evaluations}"
            )
            raise InvalidInput("scheduler.grace_evaluations", reason, f"give at most {latest}")
        return
    if not rungs(evaluations, scheduler.reduction_factor, scheduler.grace_evaluations):
        raise InvalidInput(
            "scheduler.grace_evaluations",
            f"{scheduler.grace_evaluations} is not before the end of a run of {evaluations} evaluations, "
            "so that no trial could be stopped",
            "lower it, or raise proxy.evaluations",
        )
    if scheduler.kind == "hyperband":
        needed = scheduler.grace_evaluations * scheduler.reduction_factor + 1
        if evaluations < needed:
            reason = f"a run of {evaluations} has one rung, and hyperband's brackets differ in their first rung"
            raise InvalidInput("proxy.evaluations", reason, f"give at least {needed}, or use asha")


def _check_annealed(spec: StudySpec) -> None:
    proxy, kind = spec.proxy, spec.scheduler.kind
    reason = f"{kind} would compare losses in the middle of a schedule, which favour low rates and small batches"
    if proxy.schedule != "wsd":
        raise InvalidInput("proxy.schedule", reason, "leave it out or write wsd, or use scheduler none")
    field = "proxy.annealed_evaluations"
    if proxy.annealed_evaluations is False:
        raise InvalidInput(field, reason, "leave it out, or use scheduler none")
    if proxy.annealed_evaluations is True:
        return
    read = stopping_rule(spec.scheduler, proxy.evaluations, seed=0).evaluations
    missing = sorted(set(read) - set(proxy.annealed_evaluations))
    if missing:
        listed = ", ".join(map(str, missing))
        raise InvalidInput(field, f"{kind} compares evaluations {listed} as well", f"leave it out, or list {[*read]}")
