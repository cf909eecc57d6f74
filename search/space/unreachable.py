"""Why no network meets a budget, and which budgets could be met."""

import math

import numpy as np

from model.config import MAX_FFN_WIDTH
from search.space.budget import Budget, first_where
from search.space.errors import InfeasibleSpace
from search.space.quantities import ParameterCount
from search.space.shapes import Floats, Ints, Shapes

NEIGHBOURS = 3
"""Values of the solved parameter that are looked at on either side of the target."""


def budget_refusal(budget: Budget, shapes: Shapes, low: Floats, high: Floats) -> InfeasibleSpace:
    """Say which budgets the shapes can reach at FFN ratios inside [low, high]."""
    least, most = budget.multiples(shapes)
    if (least > most).all():
        return _refuse(budget, f"its range holds no multiple of {budget.unit(shapes).min()}", "widen it", ".range")
    smallest = _amount(budget, shapes, least, np.maximum(np.ceil(low * budget.with_multiple(shapes, least).width), 1))
    widest = np.minimum(high * budget.with_multiple(shapes, most).width, MAX_FFN_WIDTH).astype(np.int64)
    largest = _amount(budget, shapes, most, widest)
    if smallest.min() > budget.target * (1 + budget.tolerance):
        return _too_small(budget, shapes, smallest)
    if largest.max() < budget.target * (1 - budget.tolerance):
        has = f"the largest network of the space has {_number(largest.max())}"
        return _refuse(budget, has, f"set the target to at most {_number(largest.max())}, or offer larger networks")
    return _between(budget, shapes, low, high)


def _refuse(budget: Budget, reason: str, remedy: str, part: str = ".target") -> InfeasibleSpace:
    quantity = budget.quantity
    asked = f"no point has {_number(budget.target)} {quantity.unit} within {budget.tolerance:.3g}"
    return InfeasibleSpace(f"constraints.{quantity.name}{part}", f"{asked}: {reason}", remedy)


def _too_small(budget: Budget, shapes: Shapes, smallest: Floats) -> InfeasibleSpace:
    row = int(smallest.argmin())
    one = budget.with_multiple(shapes[[row]], budget.multiples(shapes[[row]])[0])
    names = ("depth", "width", "vocabulary_size", "head_dim", "kv_heads")
    given = {name: int(getattr(one, name)[0]) for name in names}
    shape = ", ".join(f"{name} {value}" for name, value in given.items() if value)
    block = "pangu_pi" if one.pangu_pi[0] else "llama"
    tables = f", {int(one.table[0]) * one.tables} of them for the vocabulary"
    has = f"{_number(smallest[row])}{tables if isinstance(budget.quantity, ParameterCount) else ''}"
    return _refuse(
        budget,
        f"the smallest network of the space (block {block}, {shape}) has {has}",
        f"set the target to at least {_number(smallest[row])}, or offer smaller networks",
    )


def _between(budget: Budget, shapes: Shapes, low: Floats, high: Floats) -> InfeasibleSpace:
    """The target falls between two legal networks: name the nearest budgets on both sides."""
    near = _near(budget, shapes, low, high)
    if not len(near):
        return _refuse(budget, "the FFN ratios that are allowed hold no whole FFN width", "widen them")
    below, above = near[near <= budget.target], near[near >= budget.target]
    nearest = [*([below.max()] if len(below) else []), *([above.min()] if len(above) else [])]
    distance = min(abs(amount / budget.target - 1) for amount in nearest)
    tolerance = math.ceil(distance * 1e4) / 1e4
    return _refuse(
        budget,
        f"the nearest that legal networks reach: {' and '.join(map(_number, nearest))}",
        f"set the target to one of them, widen ffn_ratio, or raise the tolerance to {tolerance:g} or more",
    )


def _near(budget: Budget, shapes: Shapes, low: Floats, high: Floats) -> Floats:
    least, most = budget.multiples(shapes)
    ratio = np.sqrt(low * high)
    middle = first_where(lambda multiple: budget.amount(shapes, multiple, ratio) >= budget.target, least, most)
    amounts = []
    for offset in range(-NEIGHBOURS, NEIGHBOURS + 1):
        multiple = np.clip(middle + offset, least, most)
        solved = budget.with_multiple(shapes, multiple)
        exact = (budget.target - budget.quantity.without_ffn(solved)) / budget.quantity.per_ffn_channel(solved)
        smallest = np.maximum(np.ceil(low * solved.width), 1)
        largest = np.floor(np.minimum(high * solved.width, MAX_FFN_WIDTH))
        for rounded in (np.floor(exact), np.ceil(exact)):
            ffn_width = np.clip(rounded, smallest, largest).astype(np.int64)
            amounts.append(_amount(budget, shapes, multiple, ffn_width)[smallest <= largest])
    return np.concatenate(amounts)


def _amount(budget: Budget, shapes: Shapes, multiple: Ints, ffn_width: Ints | Floats) -> Floats:
    amount = budget.quantity.at(budget.with_multiple(shapes, multiple), ffn_width)
    return np.asarray(amount, dtype=np.float64)


def _number(amount: float) -> str:
    """Counts in full, as they are compared; other amounts in four figures."""
    return str(int(amount)) if amount >= 1 and float(amount).is_integer() and amount < 1e15 else f"{amount:.4g}"
