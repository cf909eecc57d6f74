"""What being wrong costs by the laws over depth, FFN ratio and vocabulary."""

import math
import re
from collections.abc import Mapping

import numpy as np

from model.errors import InvalidInput
from studies.formulas.evaluation import evaluate
from studies.formulas.expression import names_of
from studies.formulas.formula import Formula
from studies.recipe.evidence import RegretCurve, RegretPoint
from studies.recipe.judging.regret.asked import FACTOR, STEPS, Asked, curve, spread, unknown
from studies.recipe.judging.regret.trials import over_levels
from studies.recipe.laws import BEST_DEPTH, DEPTH_KIND, VOCABULARY_KIND, label, newest
from studies.recipe.recipe import figures


def over_depth(asked: Asked, name: str) -> RegretCurve:
    """The law over depth, moved so that its best depth lies where the target's does."""
    found = _depth_law(asked)
    if isinstance(found, str):
        return unknown(asked, name, found)
    law, scale = found
    depths = _whole_between(asked.number(name), law.domain["depth"], scale)
    points = _contrasts(asked, law, "depth", {depth: depth * scale for depth in depths}, asked.number(name) * scale)
    return curve(asked, name, points, _depth_basis(law, scale))


def over_width(asked: Asked, name: str) -> RegretCurve:
    """The law over depth, at the width that spends the budget at each depth."""
    found = _depth_law(asked)
    if isinstance(found, str):
        return unknown(asked, name, found)
    law, scale = found
    depth = asked.number("architecture.depth")
    shapes: dict[int, float] = {}
    for other in _whole_between(depth, law.domain["depth"], scale):
        shape = asked.frame.solve(other)
        if shape is not None:
            shapes.setdefault(shape.width, other * scale)
    shapes[int(asked.number(name))] = depth * scale
    points = _contrasts(asked, law, "depth", dict(sorted(shapes.items())), depth * scale)
    return curve(asked, name, points, f"{_depth_basis(law, scale)}; each width with the depth that meets the budget")


def _depth_law(asked: Asked) -> tuple[Formula, float] | str:
    """The law over depth with law depth / target depth; or why there is none."""
    law = newest(asked.basis.formulas, DEPTH_KIND)
    if law is None or not law.expression or "depth" not in names_of(law.expression) or "depth" not in law.domain:
        return "the study has no fitted law over depth"
    best = law.coefficients.get(BEST_DEPTH)
    if asked.basis.same_scale or best is None or best.estimate is None:
        return law, 1.0
    return law, best.estimate / asked.number("architecture.depth")


def _depth_basis(law: Formula, scale: float) -> str:
    moved = (
        "" if scale == 1 else f", moved by ×{figures(1 / scale)} to the target's depth (assumed: the same in log depth)"
    )
    return f"{label(law)} ({law.verdict}) over depth at an equal budget{moved}"


def over_ffn_width(asked: Asked, name: str) -> RegretCurve:
    """The law over the FFN ratio at a fixed depth, where it has one."""
    law = newest(asked.basis.formulas, DEPTH_KIND)
    if law is None or "ffn_ratio" not in names_of(law.expression or "0") or "ffn_ratio" not in law.domain:
        return unknown(asked, name, "no fitted law tells the effect of the FFN ratio")
    width, ffn_width = asked.number("architecture.width"), asked.number(name)
    ratios = spread(ffn_width / width, law.domain["ffn_ratio"])
    values = {round(ratio * width): ratio for ratio in ratios}
    points = _contrasts(asked, law, "ffn_ratio", values, ffn_width / width)
    return curve(asked, name, points, f"{label(law)} ({law.verdict}) over the FFN ratio at a fixed depth and budget")


def over_vocabulary(asked: Asked, name: str) -> RegretCurve:
    """The law over the vocabulary, where there is one; else the levels that were tried."""
    law = newest(asked.basis.formulas, VOCABULARY_KIND)
    variable = "vocabulary_size"
    if law is None or variable not in names_of(law.expression or "0") or variable not in law.domain:
        return over_levels(asked, name)
    size = asked.number(name)
    values = {round(value): value for value in spread(size, law.domain[variable])}
    points = _contrasts(asked, law, variable, values, size)
    return curve(asked, name, points, f"{label(law)} ({law.verdict}) over the vocabulary at an equal budget")


def _contrasts(
    asked: Asked, law: Formula, variable: str, values: Mapping[int, float], reference: float
) -> list[RegretPoint]:
    """The law at each value less that at ``reference``, with the interval of the difference."""
    fixed = re.sub(rf"\b{variable}\b", f"({reference!r})", law.expression)
    evidence = {**law.evidence, "covariance": {**law.evidence["covariance"], "logarithmic": False}}
    difference = law.model_copy(update={"expression": f"({law.expression}) - ({fixed})", "evidence": evidence})
    points = []
    for shown, value in values.items():
        try:
            found = evaluate(difference, {variable: value})
        except InvalidInput:
            return []
        low, high = sorted((asked.sign * found.low, asked.sign * found.high))
        points.append(RegretPoint(value=shown, excess=asked.sign * found.estimate, low=low, high=high))
    return points


def _whole_between(depth: float, domain: tuple[float, float], scale: float) -> list[int]:
    """Depths within ``FACTOR`` whose place in the law lies in its data, at most ``STEPS`` and the given one."""
    low = max(math.ceil(max(domain[0] / scale, depth / FACTOR) - 1e-9), 1)
    high = max(math.floor(min(domain[1] / scale, depth * FACTOR) + 1e-9), low)
    return sorted({*(round(value) for value in np.geomspace(low, high, STEPS)), round(depth)})
