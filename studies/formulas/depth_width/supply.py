"""What would decide an undetermined depth law, as changes to the study's spec (JSON merge patches, RFC 7396)."""

import math
from collections.abc import Sequence
from typing import Any

from studies.formulas.depth_width.architectures import Architecture, Architectures
from studies.formulas.depth_width.budgets import Budget
from studies.formulas.depth_width.judgement import has_many_edges

Patch = dict[str, Any]
TOLERANCE = 0.03
"""Of a budget: the spec's own default."""
MAX_DEPTH, MAX_RATE, MAX_TRIALS = 1024, 10.0, 1_000_000
"""What a spec allows."""
RATE_STEP = 2.0
"""Between rates where the study tried one only (assumed: half to twice is well inside a bowl)."""
MORE_RATES = 2
"""Rates added beyond an edge (assumed)."""
FACTOR = 2.0
"""By which the depths are extended where the best one lies beyond them (assumed)."""
BUDGET_FACTOR = 4.0
"""Between budgets of a law of growth (assumed: depth then grows by about 1.3 if it follows the cube root of N)."""


def equal_budget(budget: Budget, trials: int) -> Patch:
    """A study in which every architecture has the same amount of what the budget is about."""
    sizes = [row.sizes[budget.convention] for row in budget.rows if budget.convention in row.sizes]
    target = float(f"{math.exp(sum(map(math.log, sizes)) / len(sizes)):.3g}") if sizes else 1e6
    counts: Patch = dict.fromkeys(("total_parameters", "non_embedding_parameters", "train_flops"))
    own = {"target": target if budget.convention == "train_flops" else round(target)}
    counts[budget.convention] = {**own, "tolerance": TOLERANCE, "solve_for": "width"}
    return {"space": {"width": None}, "constraints": counts, "max_trial_count": trials}


def rates(found: Architectures) -> Patch | None:
    """Rates at the censored edge, or three where rates were not profiled; None where the rates suffice."""
    tried = list(found.rates)
    if not found.profiled:
        middle = math.exp(sum(map(math.log, tried)) / len(tried)) if tried else 1e-3
        wanted = [middle / RATE_STEP, middle, middle * RATE_STEP]
    elif has_many_edges(found):
        step = (tried[-1] / tried[0]) ** (1 / max(len(tried) - 1, 1))
        edges = {row.edge for row in found.rows}
        lower = [tried[0] / step**power for power in range(MORE_RATES, 0, -1)] if "low" in edges else []
        higher = [tried[-1] * step**power for power in range(1, MORE_RATES + 1)] if "high" in edges else []
        wanted = [*lower, *tried, *higher]
    else:
        return None
    grid = sorted({float(f"{min(rate, MAX_RATE):.3g}") for rate in wanted})
    return {
        "space": {"learning_rate": None},
        "inner": {"learning_rate": grid},
        "max_trial_count": capped(len(found.rows) * len(grid)),
    }


def depths(rows: Sequence[Architecture], lower: bool, higher: bool, trials: int) -> Patch:
    """A wider range of depths."""
    tried = [row.depth for row in rows] or [4.0]
    low, high = min(tried), max(tried)
    return {
        "space": {
            "depth": {
                "type": "int",
                "low": max(math.floor(low / FACTOR) if lower else int(low), 1),
                "high": min(max(math.ceil(high * FACTOR) if higher else int(high), 4), MAX_DEPTH),
                "log": True,
            }
        },
        "max_trial_count": capped(trials),
    }


def larger_budget(sizes: Sequence[float], convention: str, trials: int) -> Patch:
    """The same design at a budget beyond those tried, to be fitted together with them."""
    target = round(float(f"{max(sizes) * BUDGET_FACTOR:.3g}"))
    own = {"target": target, "tolerance": TOLERANCE, "solve_for": "width"}
    return {"space": {"width": None}, "constraints": {convention: own}, "max_trial_count": capped(trials)}


def more_trials(trials: int) -> Patch:
    """The same design with more trials."""
    return {"max_trial_count": capped(trials)}


def capped(trials: int) -> int:
    """A number of trials that a spec allows."""
    return min(max(trials, 1), MAX_TRIALS)
