"""From the constraints that a user wrote to a budget, limits and expressions."""

from collections.abc import Mapping

from model.errors import InvalidInput
from search.constraints import Constraints, Limit, ShareLimit
from search.parameters import TEXT_NAMES, CategoricalParameter, Parameter
from search.space.budget import Budget
from search.space.expressions import Expression, parse_expression
from search.space.frame import Frame
from search.space.network import Network, known_numbers
from search.space.quantities import AffineQuantity, quantity_of
from search.space.rules import ExpressionRule, QuantityLimit, Rule
from trainer.config import ProxySettings


def network_of(space: Mapping[str, Parameter], constraints: Constraints, settings: ProxySettings) -> Network:
    """How a network follows from the parameters of a space.

    Raises:
        InvalidInput: a quantity cannot be known from the settings.
    """
    quantities = {name: quantity_of(name, said, settings) for name, said in constraints.quantities.items()}
    budget = None
    if constraints.solved is not None:
        name, asked = constraints.solved
        quantity = quantities[name]
        assert isinstance(quantity, AffineQuantity)
        budget = Budget(quantity, asked.target, asked.tolerance, asked.solve_for, asked.bounds, asked.step)
    ratio = None if budget is None or budget.solved == "ffn_ratio" else _ratio_range(space.get("ffn_ratio"))
    return Network(settings.tied_head, settings.qk_norm, budget, ratio, quantities)


def written_rules(constraints: Constraints, frame: Frame) -> tuple[Rule, ...]:
    """The limits and expressions, in the order of the spec.

    Raises:
        InvalidInput: an expression is not one, or reads what has no value at some point.
    """
    limits = [
        QuantityLimit(name, frame.network.quantities[name].unit, said.low, said.high)
        for name, said in constraints.quantities.items()
        if isinstance(said, Limit | ShareLimit)
    ]
    numbers = known_numbers(frame.network.quantities)
    expressions = []
    for index, text in enumerate(constraints.expressions):
        field = f"constraints.expressions.{index}"
        expression = parse_expression(text, numbers, TEXT_NAMES, field)
        _check_values_exist(expression, frame, field)
        expressions.append(ExpressionRule(expression, field))
    return (*limits, *expressions)


def _check_values_exist(expression: Expression, frame: Frame, field: str) -> None:
    """A rate of warm-up or a deviation that nobody gave follows from the run, and has no number here."""
    for name in expression.names:
        given = name in frame.inner or (name in frame.parameters and name not in frame.conditions.allowed)
        if not given and frame.fixed.get(name) != frame.fixed.get(name):  # NaN
            raise InvalidInput(field, f"{name} has no number of its own at every point", f"give proxy.{name}")


def _ratio_range(parameter: Parameter | None) -> tuple[float, float] | None:
    """The range of a continuous ratio; None for a single one or a few."""
    if parameter is None or isinstance(parameter, CategoricalParameter) or parameter.size is not None:
        return None
    return float(parameter.low), float(parameter.high)
