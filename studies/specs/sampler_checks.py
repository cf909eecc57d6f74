"""Whether a sampler can search what a spec asks: by the table of ``search.samplers.methods``, before anything runs."""

from collections.abc import Sequence

from model.errors import InvalidInput
from search.parameters import CategoricalParameter, Choice
from search.samplers.methods import METHODS, declared, of_several_objectives
from search.space import Space
from studies.spec import StudySpec

SENSIBLE_DIRECTIONS = {
    "bits_per_byte": "minimize",
    "validation_loss": "minimize",
    "train_tokens_per_second": "maximize",
    "decode_tokens_per_second": "maximize",
    "decode_memory": "minimize",
}
"""Metrics of which only one end is worth having."""


def check_objectives(spec: StudySpec) -> None:
    """Check directions, and that several objectives are different ones of trials that run to their ends.

    Raises:
        InvalidInput: the first objective that is no use.
    """
    for index, objective in enumerate(spec.objectives):
        metric, direction = objective.metric, objective.direction
        sensible = SENSIBLE_DIRECTIONS.get(metric, direction)
        if direction != sensible:
            field, reason = f"objectives.{index}.direction", f"{direction} {metric} looks for the worst"
            raise InvalidInput(field, reason, f"write {sensible}")
        if metric in [earlier.metric for earlier in spec.objectives[:index]]:
            raise InvalidInput(f"objectives.{index}.metric", f"{metric} is an objective already", "leave it out once")
    if len(spec.objectives) > 1 and spec.scheduler.kind != "none":
        reason = f"{spec.scheduler.kind} compares trials by one objective, and the study has {len(spec.objectives)}"
        raise InvalidInput("scheduler.kind", reason, "use none, or keep the first objective alone")


def check_sampler(spec: StudySpec, space: Space) -> None:
    """Check that the sampler takes the purpose, the objectives, the parameters and the number of points.

    Raises:
        InvalidInput: it does not; names the field and what to use instead.
    """
    kind, method = spec.sampler.kind, METHODS[spec.sampler.kind]
    if spec.purpose == "estimate" and method.adaptive:
        reason = f"{kind} chooses by outcome, and formulas need trials that were not"
        raise InvalidInput("sampler.kind", reason, f"use {_either(declared())}, or set purpose: optimise")
    if len(spec.objectives) > method.max_objectives:
        others = [other for other in of_several_objectives(len(spec.objectives)) if METHODS[other].adaptive]
        reason = f"{kind} takes one objective, and the study has {len(spec.objectives)}"
        raise InvalidInput("sampler.kind", reason, f"use {_either(others)}, or keep the first objective alone")
    check_search(kind, space, -(-spec.max_trial_count // len(space.inner_points)), "sampler.kind")


def check_search(kind: str, space: Space, points: int, field: str) -> None:
    """Check that a kind of sampler, which ``field`` names, takes the parameters and so many outer points of a space.

    Raises:
        InvalidInput: it does not; names the field and what to use instead.
    """
    method = METHODS[kind]
    if method.needs_order:
        _check_order(kind, space)
    if method.max_points is not None and points > method.max_points:
        reason = f"{kind} looks at all points for each suggestion: {points} outer points are too many for it"
        most = method.max_points * len(space.inner_points)
        raise InvalidInput(field, reason, f"use tpe, or a max_trial_count of at most {most}")
    if kind == "grid":
        space.grid_size()


def _check_order(kind: str, space: Space) -> None:
    for name, parameter in space.parameters.items():
        if isinstance(parameter, CategoricalParameter) and not _is_ordered(parameter.choices):
            reason = f"{kind} moves along an order, and these choices have none"
            remedy = "sort them if they are numbers, or use tpe, gp, nsga2 or zoopt"
            raise InvalidInput(f"space.{name}.choices", reason, remedy)


def _is_ordered(choices: Sequence[Choice]) -> bool:
    """Whether neighbours are alike: at most two values, or numbers that rise or fall."""
    if len(choices) <= 2:
        return True
    numbers = [choice for choice in choices if isinstance(choice, int | float)]
    return len(numbers) == len(choices) and list(choices) in (sorted(numbers), sorted(numbers, reverse=True))


def _either(kinds: Sequence[str]) -> str:
    return " or ".join([", ".join(kinds[:-1]), kinds[-1]]) if len(kinds) > 1 else kinds[0]
