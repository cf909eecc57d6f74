"""What a spec says about its beginning and its end: points and studies to start from, leaders on fresh seeds."""

from model.errors import InvalidInput
from search.given import given_point
from search.samplers.methods import declared
from search.space import Space
from studies.spec import StudySpec

LOADING_TORCH = frozenset({"gp"})
"""Samplers whose library loads torch, which the process that answers requests never does."""


def check_external(spec: StudySpec) -> None:
    """Check that a study whose trials others train can be answered by the API.

    Raises:
        InvalidInput: it cannot.
    """
    if spec.execution != "external":
        return
    for name in ("kind", "below"):
        kind = getattr(spec.sampler, name)
        if kind in LOADING_TORCH:
            reason = f"{kind} loads torch, which the process that answers clients never does"
            raise InvalidInput(f"sampler.{name}", reason, "use another sampler such as tpe, or execution: ray")
    if spec.resources_per_trial.stack > 1:
        reason = "stacks are trained here, and the trials of an external study elsewhere"
        raise InvalidInput("resources_per_trial.stack", reason, "leave it out")


def check_seeds(spec: StudySpec) -> None:
    """Check that leaders can be chosen and trained on fresh seeds.

    Raises:
        InvalidInput: they cannot.
    """
    if spec.seeds.count == 1:
        return
    if "seed" in spec.space or len(spec.inner.get("seed", ())) > 1:
        section = "space" if "seed" in spec.space else "inner"
        reason = f"leaders would be trained on fresh seeds, and {section} varies the seed already"
        raise InvalidInput("seeds", reason, f"leave seeds out, or give one seed in proxy instead of {section}.seed")
    if len(spec.objectives) > 1:
        raise InvalidInput("seeds", "leaders are the best by one objective", "give one objective, or leave seeds out")
    least = spec.seeds.reserved + spec.seeds.leaders
    if spec.max_trial_count < least:
        left = max(spec.max_trial_count - spec.seeds.reserved, 0)
        kept = f"{spec.seeds.count} fresh seeds of {spec.seeds.leaders} leaders are {spec.seeds.reserved} trials"
        reason = f"{kept}, which leaves {left} to choose the leaders from"
        raise InvalidInput("max_trial_count", reason, f"give at least {least}, or lower seeds")


def check_start(spec: StudySpec, space: Space) -> None:
    """Check the points that are to run first, and that earlier studies can inform the sampler.

    Raises:
        InvalidInput: a point is none of the space or given twice, there are too many, or the sampler does not learn.
    """
    _check_points(spec, space)
    if spec.start.law is not None:
        _check_law(spec)
    if not spec.start.studies:
        return
    if spec.purpose == "estimate":
        reason = "a start from earlier studies chooses by outcome, and formulas need trials that were not"
        raise InvalidInput("start", reason, "leave the studies out, or set purpose: optimise")
    if spec.sampler.kind in declared():
        reason = f"{spec.sampler.kind} does not learn from the trials of earlier studies"
        raise InvalidInput("start", reason, "use an adaptive sampler such as tpe, or give start.points")


def _check_law(spec: StudySpec) -> None:
    if spec.start.law == "study" and not spec.start.studies:
        raise InvalidInput("start.law", "there is no study to take it from", "add start.study, or name a published law")
    if not {"learning_rate", "batch_tokens"} & spec.space.keys():
        reason = "a law gives learning_rate and batch_tokens, and the space has neither"
        raise InvalidInput("start.law", reason, "add one of them to space, or leave the law out")
    if spec.start.law != "study" and spec.proxy.init_scheme == "mup":
        reason = f"{spec.start.law} was measured under the standard parametrisation, not under mup"
        raise InvalidInput("start.law", reason, "leave it out, or take the law of a study under mup")


def _check_points(spec: StudySpec, space: Space) -> None:
    seen: dict[frozenset[tuple[str, object]], int] = {}
    for index, values in enumerate(spec.start.points):
        point = given_point(space, values, f"start.points.{index}")
        first = seen.setdefault(frozenset(point.values.items()), index)
        if first != index and not spec.allow_duplicates:
            raise InvalidInput(f"start.points.{index}", f"is point {first} again", "remove it, or set allow_duplicates")
    room = (spec.max_trial_count - spec.seeds.reserved) // len(space.inner_points)
    if len(spec.start.points) > room:
        reason = f"{len(spec.start.points)} points are more than the {room} that max_trial_count has room for"
        raise InvalidInput("start.points", reason, "raise max_trial_count, or give fewer")
