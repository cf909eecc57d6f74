"""Several objectives: the Pareto front, its knee, and the hypervolume that it dominates. NumPy only.

Points are rows and objectives columns. All objectives are minimised here; :func:`as_costs` turns the others round.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]
"""Shape (points, objectives)."""

REACH = 1.1
"""Where the reference point of a hypervolume lies on the way from the ideal to the nadir point of the front: a little
beyond, so that the ends of the front count (Ishibuchi et al. 2018, Evolutionary Computation 26(3), section 4)."""

BLOCK = 500
"""Points that are compared with a front at once; most are dominated, and cost no step of their own."""


def as_costs(values: Sequence[Sequence[float]], directions: Sequence[str]) -> Costs:
    """Values of objectives as costs, of which less is better."""
    signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
    return np.asarray(values, dtype=float).reshape(-1, len(signs)) * signs


def is_on_front(costs: Costs) -> NDArray[np.bool_]:
    """Which points no other one dominates: none is as good in every objective and better in one. Equal ones stay.

    Each point of the front removes at once all that it dominates: O(points × front).
    """
    left = np.lexsort(costs.T[::-1])
    front = []
    while len(left):
        best = left[0]
        same = (costs[left] == costs[best]).all(axis=1)
        front.append(left[same])
        left = left[(costs[left] < costs[best]).any(axis=1)]
    on_front = np.zeros(len(costs), dtype=bool)
    if front:
        on_front[np.concatenate(front)] = True
    return on_front


def knee(front: Costs) -> int:
    """Index of the point of a front that lies furthest on the good side of the line between its ends.

    Each objective is scaled from the front's best value, 0, to its worst, 1. Of two objectives the distance to the
    line through both ends grows as the sum of the scaled objectives falls (Das 1999, Structural Optimization 18(2-3));
    of three, the same holds for the plane on which they add up to 1. On a front that bulges outwards an end is the
    nearest. Equal sums: the better one by the first objective, then the first one.
    """
    low, width = _box(front)
    sums = ((front - low) / width).sum(axis=1).round(12)
    return int(np.lexsort((front[:, 0], sums))[0])


def reference_box(costs: Costs) -> tuple[Costs, Costs]:
    """The front's ideal point, and the point that hypervolumes of these points are measured to, shape (objectives,).

    The reference lies :data:`REACH` times as far from the ideal point, of the best values, as the nadir point, of the
    worst values on the front. An objective in which the front has one value takes the worst value of all points.
    """
    low, width = _box(costs[is_on_front(costs)], costs)
    return low, low + REACH * width


def hypervolume(costs: Costs, reference: Costs) -> float:
    """Volume that is dominated by the points and bounded by the reference point; exact, of one to three objectives.

    Raises:
        ValueError: there are more objectives.
    """
    inside = costs[(costs < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    match costs.shape[1]:
        case 1:
            return float(reference[0] - inside.min())
        case 2:
            return _area(inside, reference)
        case 3:
            return _volume(inside, reference)
    raise ValueError(f"hypervolumes of {costs.shape[1]} objectives are not computed")


def growing_hypervolume(costs: Costs, reference: Costs) -> Iterator[float]:
    """The hypervolume of the first point, of the first two, and so on.

    Each point adds what it dominates alone: its box, less what the front so far dominates within it (While, Bradstreet
    and Barone 2012, IEEE Transactions on Evolutionary Computation 16(1)).
    """
    front = np.empty((0, costs.shape[1]))
    total = 0.0
    for first in range(0, len(costs), BLOCK):
        block = costs[first : first + BLOCK]
        dominated: NDArray[np.bool_] = np.any(np.all(front <= block[:, None], axis=2), axis=1)
        adds = np.all(block < reference, axis=1) & ~dominated
        for point, may_add in zip(block, adds, strict=True):
            if may_add and not (front <= point).all(axis=1).any():
                total += float(np.prod(reference - point)) - hypervolume(np.maximum(front, point), reference)
                front = np.vstack([front[(front < point).any(axis=1)], point])
            yield total


def _box(front: Costs, costs: Costs | None = None) -> tuple[Costs, Costs]:
    """The front's ideal point, and how far its nadir point lies from it; above 0 in each objective."""
    low, high = front.min(axis=0), front.max(axis=0)
    if costs is not None:
        high = np.where(high > low, high, costs.max(axis=0))
    return low, np.where(high > low, high - low, 1.0)


def _area(costs: Costs, reference: Costs) -> float:
    """Of two objectives: the steps of a staircase, from the best of the first objective on."""
    ordered = costs[np.lexsort((costs[:, 1], costs[:, 0]))]
    lowest = np.minimum.accumulate(ordered[:, 1])
    widths = np.diff(ordered[:, 0], append=reference[0])
    return float(widths @ (reference[1] - lowest))


def _volume(costs: Costs, reference: Costs) -> float:
    """Of three objectives: slices along the third one, each as thick as the way to the next point."""
    ordered = costs[is_on_front(costs)]
    ordered = ordered[np.argsort(ordered[:, 2])]
    thickness = np.diff(ordered[:, 2], append=reference[2])
    return sum(
        float(thick) * _area(ordered[: index + 1, :2], reference[:2])
        for index, thick in enumerate(thickness)
        if thick > 0
    )
