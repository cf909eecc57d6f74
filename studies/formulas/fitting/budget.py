"""Whether trials share a budget of parameters: only then do depth and width compare shapes, not sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.formulas.observations import Observation

EQUAL_BUDGET = 1.15
"""Largest over smallest count that is still one budget: a tolerance of 7 % (assumed; specs ask for 3 %)."""
CONVENTIONS = ("total_parameters", "non_embedding_parameters")


@dataclass(frozen=True, slots=True)
class BudgetCheck:
    """What the trials say about their sizes."""

    convention: str
    """The count that is equal, else ``total_parameters``."""
    problem: str | None
    """Why shapes cannot be compared; None if they can."""


def check_budget(observations: Sequence[Observation]) -> BudgetCheck:
    """Look for a count of parameters that all trials share; the total is preferred."""
    problems: list[str] = []
    for name in CONVENTIONS:
        counts = [count for row in observations if (count := row.number_of(name)) is not None and count > 0]
        if not counts:
            problems.append(f"{name} is not reported")
        elif max(counts) > EQUAL_BUDGET * min(counts):
            problems.append(f"{name} runs from {min(counts):.4g} to {max(counts):.4g}")
        else:
            return BudgetCheck(name, None)
    remedy = "repeat the design with constraints.total_parameters, so that every architecture has the same size"
    reason = f"the budget is not equal ({'; '.join(problems)}), so that depth is mixed up with size: {remedy}"
    return BudgetCheck(CONVENTIONS[0], reason)
