"""Constraints written as arithmetic, e.g. ``depth * width <= 8192``: read into a tree, never executed.

Python's grammar reads the text, and a list of what is allowed decides about each part; numpy computes what is left.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.errors import InvalidInput
from search.space.shapes import Bools, Floats
from search.standard import closest

MAX_NESTING = 30
"""Deepest nesting of operations (assumed)."""
MAX_EXPONENT = 8
"""Largest exponent, up or down (assumed: no size or cost of a network grows faster)."""
MAX_NUMBER = 1e30
"""Largest number that may be written (assumed)."""

Columns = Mapping[str, Any]

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
}
_NO_ARITHMETIC: dict[type[ast.AST], str] = {
    ast.Call: "calls a function",
    ast.Attribute: "reads an attribute",
    ast.Subscript: "reads an element",
    ast.BoolOp: "joins comparisons, of which each is an expression of its own",
    ast.Lambda: "defines a function",
    ast.IfExp: "chooses",
    ast.NamedExpr: "assigns",
    ast.JoinedStr: "holds a text",
    ast.Compare: "compares inside of a comparison; chain them, as in 2 <= depth <= 8",
}


@dataclass(frozen=True)
class Expression:
    """A comparison, or a chain of them, between sums, products, quotients and powers of names and numbers."""

    text: str
    tree: ast.Compare
    names: tuple[str, ...]
    """Names that it reads, in the order of their first use."""

    def holds(self, columns: Columns) -> Bools:
        """Which rows satisfy it.

        A comparison with a side that is no finite number, as after a division by zero, does not hold.
        """
        with np.errstate(all="ignore"):
            sides = [_amount(side, columns) for side in (self.tree.left, *self.tree.comparators)]
        met = np.all([np.isfinite(side) for side in np.broadcast_arrays(*sides)], axis=0)
        for compare, left, right in zip(self.tree.ops, sides, sides[1:], strict=False):
            met = met & _COMPARISONS[type(compare)](left, right)
        return np.asarray(met, dtype=bool)


def parse_expression(text: str, numbers: Collection[str], texts: Collection[str], field: str) -> Expression:
    """Read one constraint.

    Args:
        text: as the user wrote it.
        numbers: names that it may use.
        texts: names whose values are texts, for which there is no arithmetic.
        field: where it stands in the spec.

    Raises:
        InvalidInput: it is no comparison of arithmetic, or uses an unknown name; says where.
    """
    tree = _parse(text, field)
    if not isinstance(tree, ast.Compare):
        said = _NO_ARITHMETIC.get(type(tree), "is no comparison")
        raise _refusal(tree, field, said, "compare two sides, as in depth * width <= 8192")
    for comparison in tree.ops:
        if type(comparison) not in _COMPARISONS:
            raise _refusal(tree, field, "does not compare numbers", "use <=, <, >=, > or ==")
    names: dict[str, None] = {}
    for side in (tree.left, *tree.comparators):
        _check(side, names, field, 1)
    if not names:
        raise _refusal(tree, field, "names no parameter", "compare something that varies")
    for name in names:
        _check_name(name, tree, numbers, texts, field)
    return Expression(text, tree, tuple(names))


def _parse(text: str, field: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        reason = f"column {error.offset or 1}: {error.msg}"
        raise InvalidInput(field, reason, "write a comparison, as in depth * width <= 8192") from None
    except (ValueError, RecursionError, MemoryError):
        raise InvalidInput(field, "cannot be read", "write a comparison, as in depth * width <= 8192") from None


def _check(node: ast.expr, names: dict[str, None], field: str, depth: int) -> None:
    """Check a part and what is below it, and collect its names."""
    if depth > MAX_NESTING:
        raise _refusal(node, field, f"is nested deeper than {MAX_NESTING} operations", "write it flatter")
    if isinstance(node, ast.Name):
        names[node.id] = None
    elif isinstance(node, ast.Constant):
        _check_number(node, field)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        _check(node.operand, names, field, depth + 1)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        if isinstance(node.op, ast.Pow):
            _check_exponent(node.right, field)
        _check(node.left, names, field, depth + 1)
        _check(node.right, names, field, depth + 1)
    else:
        said = _NO_ARITHMETIC.get(type(node), "is no arithmetic")
        raise _refusal(node, field, said, "use names, numbers, + - * / ** and parentheses")


def _check_number(node: ast.Constant, field: str) -> None:
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refusal(node, field, f"{value!r:.40} is no number", "compare numbers")
    if not abs(value) <= MAX_NUMBER:
        raise _refusal(node, field, f"holds a number above {MAX_NUMBER:g}", "write a smaller one")


def _check_exponent(node: ast.expr, field: str) -> None:
    sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
    exponent = node.operand if isinstance(node, ast.UnaryOp) else node
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(sign * value) <= MAX_EXPONENT:
        remedy = f"write a number between -{MAX_EXPONENT} and {MAX_EXPONENT}"
        raise _refusal(node, field, "has an exponent that is no small number", remedy)


def _check_name(name: str, tree: ast.expr, numbers: Collection[str], texts: Collection[str], field: str) -> None:
    if name in numbers:
        return
    node = next(node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)
    if name in texts:
        raise _refusal(node, field, f"{name} is a text, for which there is no arithmetic", "use conditions for it")
    guess = closest(name, numbers)
    remedy = f"did you mean {guess}?" if guess else f"use one of {', '.join(sorted(numbers))}"
    raise _refusal(node, field, f"{name:.60} is not a parameter, nor follows from them", remedy)


def _refusal(node: ast.expr, field: str, reason: str, remedy: str) -> InvalidInput:
    return InvalidInput(field, f"column {node.col_offset + 1}: {reason}", remedy)


def _amount(node: ast.expr, columns: Columns) -> Floats:
    if isinstance(node, ast.Name):
        return np.asarray(columns[node.id], dtype=np.float64)
    if isinstance(node, ast.Constant):
        return np.float64(node.value)  # type: ignore[arg-type, return-value]
    if isinstance(node, ast.UnaryOp):
        amount = _amount(node.operand, columns)
        return -amount if isinstance(node.op, ast.USub) else amount
    if isinstance(node, ast.BinOp):
        found: Floats = _OPERATIONS[type(node.op)](_amount(node.left, columns), _amount(node.right, columns))
        return found
    raise TypeError(f"{type(node).__name__} was not checked")
