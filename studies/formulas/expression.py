"""A formula's expression, e.g. ``c * (batch_tokens / reference_batch_tokens) ** r``, computed and never executed.

Python's grammar reads the text; names, numbers, ``+ - * / **`` and the functions below are all that is computed.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache

FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "exp": math.exp,
    "log": math.log,
    "log2": math.log2,
    "max": max,
    "min": min,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}


def value_of(expression: str, numbers: Mapping[str, float]) -> float:
    """Compute an expression.

    Raises:
        KeyError: it uses a name that ``numbers`` lacks.
        ValueError: it is not such arithmetic, or has no value here, as the log of a negative number.
        ArithmeticError: it divides by zero, or its value is beyond a double.
    """
    return _value(_tree(expression), numbers)


@lru_cache(maxsize=256)
def names_of(expression: str) -> frozenset[str]:
    """The variables and coefficients that an expression reads."""
    called = {id(node.func) for node in ast.walk(_tree(expression)) if isinstance(node, ast.Call)}
    nodes = (node for node in ast.walk(_tree(expression)) if isinstance(node, ast.Name) and id(node) not in called)
    return frozenset(node.id for node in nodes)


@lru_cache(maxsize=256)
def _tree(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def _value(node: ast.expr, numbers: Mapping[str, float]) -> float:
    if isinstance(node, ast.Name):
        return numbers[node.id]
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, numbers)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left, numbers), _value(node.right, numbers))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return FUNCTIONS[node.func.id](*(_value(argument, numbers) for argument in node.args))
    raise ValueError(f"{ast.unparse(node)} is not arithmetic of a formula")
