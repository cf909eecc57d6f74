"""What a shrink law lacks, and a study that would supply it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.formulas.observations import Observation
from studies.formulas.shrink.networks import BUDGETS, Networks
from studies.formulas.shrink.surface import Shape
from studies.formulas.supply import MIN_RATES, Patch, more_rates, trial_count, tried

MIN_BUDGET_SPAN = 4.0
"""Largest over smallest budget (assumed: two halvings, so that a drift of the best shape shows)."""
WANTED_BUDGET_SPAN = 16.0
MIN_FREEDOM = 8
"""Residual degrees of freedom of the surface (assumed: its errors are estimated from them)."""
WANTED_TIMES = 5
"""Networks that are asked for, in columns of the surface (measured by simulation: see docs/formulas.md)."""
MIN_PROFILED = 0.8
"""Share of networks that must be profiled, where rates vary, for a verdict (assumed, as for depth against width)."""
REACH = 2.0
"""Factor by which an offered range goes beyond the tried one on each side (assumed)."""
HEAD = 32
"""Widths of an offered spec are multiples of it: the default head dimension."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is missing, in words, and as changes to the study's spec."""

    fatal: tuple[str, ...]
    """Why nothing can be fitted."""
    obstacles: tuple[str, ...]
    """Why what is fitted determines nothing."""
    supply: dict[str, Any] | None


def needs(observations: Sequence[Observation], networks: Networks, shape: Shape | None, comparable: bool) -> Needs:
    """Compare the data with what the law needs; ``shape`` is None where nothing varies beside the budget."""
    fatal: list[str] = []
    span = float(networks.budgets.max() / networks.budgets.min()) if len(networks.budgets) else 1.0
    if span < MIN_BUDGET_SPAN:
        fatal.append(
            f"{networks.budget_name} spans a factor of {span:.3g} and {MIN_BUDGET_SPAN:g} is needed: train networks "
            f"of other budgets too, e.g. {WANTED_BUDGET_SPAN:g} times apart"
        )
    columns = 3 if shape is None else shape.columns.shape[1]
    missing = columns + MIN_FREEDOM - len(networks.budgets)
    if missing > 0:
        fatal.append(
            f"{len(networks.budgets)} networks cannot tell a bowl over {', '.join(networks.names) or 'a shape'} at "
            f"each budget: at least {missing} more are needed, and about {WANTED_TIMES * columns} in all are good"
        )
    profiled = len(networks.budgets) + networks.at_edge - networks.unprofiled
    rates = networks.rates_vary and profiled < MIN_PROFILED * (len(networks.budgets) + networks.at_edge)
    obstacles = {
        f"learning rates differ between networks, and {networks.unprofiled} have fewer than {MIN_RATES} usable ones, "
        f"so that the rate is compared along with the shape: train each at {MIN_RATES} rates or more": rates,
        "nats a token are not comparable between vocabularies: take bits_per_byte as the objective": not comparable,
    }
    found = tuple(reason for reason, applies in obstacles.items() if applies)
    wanted = WANTED_TIMES * max(columns, 6)
    return Needs(tuple(fatal), found, _supply(observations, networks, wanted))


def _supply(observations: Sequence[Observation], networks: Networks, count: int) -> Patch | None:
    """One study whose networks differ in budget and shape, each at several learning rates."""
    if not len(networks.budgets):
        return None
    space: Patch = {
        "depth": _whole(tried(observations, "depth") or [4.0], 1),
        "width": _whole(tried(observations, "width") or [128.0], HEAD),
    }
    ratios = tried(observations, "ffn_ratio")
    if "ffn_ratio" in networks.names and ratios:
        space["ffn_ratio"] = {"type": "float", "low": ratios[0], "high": ratios[-1], "log": True}
    patch: Patch = {"space": space, "constraints": _limits(observations)}
    patch |= {name: value for name, value in more_rates(observations, "both", count).items() if name == "inner"}
    rates = max(len(patch["inner"]["learning_rate"]), 1)
    return patch | trial_count(count * rates)


def _whole(values: Sequence[float], multiple: int) -> Patch:
    low = max(math.floor(values[0] / REACH / multiple), 1) * multiple
    high = max(math.ceil(values[-1] * REACH / multiple) * multiple, low + multiple)
    step = {"log": True} if multiple == 1 else {"step": multiple}
    return {"type": "int", "low": low, "high": high, **step}


def _limits(observations: Sequence[Observation]) -> Patch:
    """Limits on the counts of parameters instead of equal budgets."""
    limits: Patch = {}
    for name in BUDGETS[:2]:
        counts = tried(observations, name)
        limits[name] = None
        if counts and name == BUDGETS[0]:
            middle = math.sqrt(counts[0] * counts[-1])
            reach = math.sqrt(max(counts[-1] / counts[0], WANTED_BUDGET_SPAN))
            none = dict.fromkeys(("target", "tolerance", "solve_for", "range"))
            limits[name] = {**none, "low": round(middle / reach), "high": round(middle * reach)}
    return limits


def is_open(ends: Sequence[float]) -> bool:
    """Whether an interval has no ends."""
    return not bool(np.isfinite(ends).all())
