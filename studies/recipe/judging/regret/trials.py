"""What being wrong costs by the trials themselves: rates, batches, and whatever else was varied."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.events import Value
from studies.recipe.evidence import RegretCurve, RegretPoint
from studies.recipe.judging.regret.asked import FACTOR, STEPS, Asked, curve, point, spread, unknown

Floats = NDArray[np.float64]
MIN_PAIRS = 2


def over_rate(asked: Asked, name: str) -> RegretCurve:
    """The bowl that all profiles share, about the recommended rate."""
    bowl, rate = asked.bowl, asked.number(name)
    if bowl is None:
        return unknown(asked, name, "no profile of the study brackets its best rate with enough runs")
    ends = max(bowl.lowest, -math.log(FACTOR)), min(bowl.highest, math.log(FACTOR))
    xs = sorted({*np.linspace(*ends, STEPS).tolist(), 0.0})
    points = [point(rate * math.exp(x), *bowl.contrast(x, 0.0)) for x in xs]
    where = "at the sizes and batches of the trials"
    stands = (
        "the recommended rate stands at its bottom"
        if asked.field(name).source in ("formula", "trial")
        else "that the recommended rate, which was not measured, stands at its bottom is assumed"
    )
    basis = f"the bowl over log rate of {bowl.runs} runs in {bowl.cells} profiles, {where}; {stands}"
    return curve(asked, name, points, basis)


def over_batch(asked: Asked, name: str) -> RegretCurve:
    """A parabola over log batch through the costs at each cell's best rate, with a level for each other setting."""
    rows = [(cell, cell.cost) for cell in asked.cells if cell.profile is not None and "batch_tokens" in cell.parameters]
    groups: dict[tuple[tuple[str, Value], ...], list[tuple[float, float]]] = {}
    for cell, cost in rows:
        others = tuple(sorted((key, value) for key, value in cell.parameters.items() if key != "batch_tokens"))
        groups.setdefault(others, []).append((math.log(float(cell.parameters["batch_tokens"])), float(cost or 0.0)))
    usable = [members for members in groups.values() if len({u for u, _ in members}) >= 3]
    freedom = sum(len(members) - 1 for members in usable) - 2
    if freedom < 1:
        return unknown(asked, name, "no setting was trained at three batches or more, each with a profiled rate")
    u = np.concatenate([np.array(members)[:, 0] for members in usable])
    costs = np.concatenate([np.array(members)[:, 1] - np.array(members)[:, 1].mean() for members in usable])
    centred = [_without_mean(np.array(members)[:, 0]) for members in usable]
    design = np.concatenate(centred)
    slope, bend = np.linalg.lstsq(design, costs, rcond=None)[0]
    residuals = costs - design @ np.array([slope, bend])
    covariance = np.linalg.pinv(design.T @ design) * float(residuals @ residuals) / freedom
    at = math.log(asked.number(name))
    points = []
    for value in spread(asked.number(name), (math.exp(u.min()), math.exp(u.max()))):
        terms = np.array([math.log(value) - at, math.log(value) ** 2 - at**2])
        error = math.sqrt(max(float(terms @ covariance @ terms), 0.0))
        points.append(point(round(value), float(terms @ np.array([slope, bend])), error))
    basis = f"a parabola over log batch through {len(u)} profiled minima, each setting with a level of its own"
    outside = not u.min() <= at <= u.max()
    return curve(asked, name, points, basis + ("; the recommended batch lies outside them" if outside else ""))


def _without_mean(u: Floats) -> Floats:
    terms = np.column_stack([u, u**2])
    centred: Floats = terms - terms.mean(axis=0)
    return centred


def over_levels(asked: Asked, name: str) -> RegretCurve:
    """Levels of a varied parameter against the recommended one, in pairs of cells that are alike but for it."""
    parameter = {"scheme": "init_scheme", "std": "init_std"}.get(name.rsplit(".")[-1], name.rsplit(".")[-1])
    recommended = asked.field(name).value
    varied = {cell.parameters.get(parameter) for cell in asked.cells} - {None}
    if len(varied) < 2:
        return unknown(asked, name, f"the study did not vary {parameter}")
    if recommended not in varied:
        return unknown(asked, name, f"the recommended {parameter} is none of those that were tried")
    pairs: dict[Value, list[float]] = {}
    known: dict[tuple[tuple[str, Value], ...], dict[Value, float]] = {}
    for cell in asked.cells:
        others = tuple(
            sorted((key, value) for key, value in cell.parameters.items() if key not in (parameter, "width"))
        )
        level, cost = cell.parameters.get(parameter), cell.cost
        if level is not None and cost is not None:
            known.setdefault(others, {})[level] = cost
    for costs in known.values():
        if recommended in costs:
            for level, cost in costs.items():
                pairs.setdefault(level, []).append(cost - costs[recommended])
    points = [_mean(level, found) for level, found in pairs.items() if len(found) >= MIN_PAIRS]
    if len(points) < 2:
        return unknown(asked, name, f"fewer than {MIN_PAIRS} pairs of settings differ in {parameter} alone")
    basis = f"pairs of settings that differ in {parameter} alone, each at its best rate"
    return curve(asked, name, sorted(points, key=lambda point: (str(type(point.value)), point.value)), basis)


def _mean(level: Value, differences: Sequence[float]) -> RegretPoint:
    """Mean difference with the t interval of its pairs."""
    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    half = _t(len(differences) - 1) * error
    mean = float(np.mean(differences))
    return RegretPoint(value=level, excess=mean, low=mean - half, high=mean + half)


def _t(freedom: int) -> float:
    """97.5 % quantile of Student's t."""
    from scipy.stats import t  # a second to load, for studies that varied such a parameter

    return float(t.ppf(0.975, freedom))
