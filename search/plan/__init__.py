"""Which trial runs next: numbers, points, groups, replicates. Rebuilt from the rows, without Ray."""

from search.plan.outcomes import outer_values
from search.plan.plan import MAX_LOST_WORKERS, Plan

__all__ = ["MAX_LOST_WORKERS", "Plan", "outer_values"]
