"""What the names and values of a space must be, before anything is enumerated."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from model.config import MAX_FFN_WIDTH
from model.errors import InvalidInput
from search.parameters import PARAMETER_NAMES, CategoricalParameter, Choice, Parameter
from search.space.budget import Budget
from search.standard import check_name, check_parameter, check_value
from trainer.config import ProxySettings

MAX_INNER_POINTS = 10_000
"""Most points of the inner grids' product (assumed: each outer point is trained at all of them)."""

Inner = Mapping[str, Sequence[Choice]]
Declared = Mapping[str, Parameter]


def check_names(space: Declared, inner: Inner, budget: Budget | None) -> None:
    """Check that every name can be varied, once, and that the budget can be solved.

    Raises:
        InvalidInput: the first name that cannot.
    """
    for name in inner:
        check_name(name, f"inner.{name}")
        if name in space:
            raise InvalidInput(f"inner.{name}", f"{name} is in the space as well", "keep one of the two")
    if budget is not None:
        _check_budget_names(space, inner, budget)


def _check_budget_names(space: Declared, inner: Inner, budget: Budget) -> None:
    constraint = f"constraints.{budget.quantity.name}"
    solved = budget.solved
    if solved not in {*budget.quantity.reads, "ffn_ratio"}:
        reason = f"{budget.quantity.name} does not depend on {solved}"
        raise InvalidInput(f"{constraint}.solve_for", reason, "solve for width, depth or ffn_ratio")
    for section, names in (("space", space), ("inner", inner)):
        if solved in names:
            raise InvalidInput(
                f"{section}.{solved}",
                f"{solved} is what {constraint} solves for",
                f"leave {solved} out of {section}, or leave the constraint out",
            )
    for name in inner:
        if name in {*budget.quantity.reads, "head_dim", "kv_heads", "ffn_ratio"}:
            raise InvalidInput(
                f"inner.{name}",
                f"{name} changes what {constraint} holds equal",
                "move it to space, or leave the constraint out",
            )


def check_inner_size(inner: Inner) -> None:
    """Check how many inner points there are.

    Raises:
        InvalidInput: there are too many.
    """
    size = math.prod(map(len, inner.values()))
    if size > MAX_INNER_POINTS:
        reason = f"{' × '.join(inner)} have {size} points, more than {MAX_INNER_POINTS}"
        raise InvalidInput("inner", reason, "shorten the grids")


def check_values(space: Declared, inner: Inner, settings: ProxySettings) -> None:
    """Check every value against the bounds of its name.

    Raises:
        InvalidInput: the first that is unknown, out of bounds or given twice.
    """
    for name, parameter in space.items():
        check_parameter(name, parameter)
    for name, choices in inner.items():
        for index, choice in enumerate(choices):
            check_value(name, choice, f"inner.{name}.{index}")
        if len(set(choices)) != len(choices):
            raise InvalidInput(f"inner.{name}", "holds a value twice", "remove the repetition")
    for name, value in settings.model_dump().items():
        if name in PARAMETER_NAMES and value is not None:
            check_value(name, value, f"proxy.{name}")


def check_ffn_width(space: Declared, inner: Inner, settings: ProxySettings) -> None:
    """Check the largest FFN width that an asked ratio gives, where no budget decides it.

    Raises:
        InvalidInput: it is too large.
    """
    largest = math.prod(_largest(name, space, inner, settings) for name in ("width", "ffn_ratio"))
    if largest > MAX_FFN_WIDTH:
        raise InvalidInput(
            "space.ffn_ratio",
            f"the FFN width reaches {largest:g}, more than {MAX_FFN_WIDTH}",
            "lower width or ffn_ratio",
        )


def _largest(name: str, space: Declared, inner: Mapping[str, Sequence[Any]], settings: ProxySettings) -> float:
    if name in inner:
        return float(max(inner[name]))
    parameter = space.get(name)
    if parameter is None:
        return float(getattr(settings, name))
    return float(max(parameter.choices) if isinstance(parameter, CategoricalParameter) else parameter.high)
