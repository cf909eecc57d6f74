"""Sizes that count as one budget: only within one do depth and width compare shapes, not sizes."""

from collections.abc import Sequence

CONVENTIONS = ("total_parameters", "non_embedding_parameters")
"""Ways in which sizes are counted, the preferred one first."""
EQUAL_BUDGET = 1.15
"""Largest over smallest count that is still one budget: a tolerance of 7 % (assumed; specs ask for 3 %)."""


def are_equal(sizes: Sequence[float]) -> bool:
    """Whether positive sizes are one budget."""
    return max(sizes) <= EQUAL_BUDGET * min(sizes)


def split_budgets(sizes: Sequence[float], factor: float = EQUAL_BUDGET) -> list[list[int]]:
    """Positions of the sizes of each budget, smallest budget first.

    From the smallest size on, a budget takes every size up to ``factor`` times its own smallest.
    """
    budgets: list[list[int]] = []
    start = 0.0
    for place in sorted(range(len(sizes)), key=lambda place: sizes[place]):
        if not budgets or sizes[place] > factor * start:
            budgets.append([])
            start = sizes[place]
        budgets[-1].append(place)
    return budgets
