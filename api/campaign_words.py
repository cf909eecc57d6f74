"""Words for what came of a campaign's stage, the same on pages, in terminals and in write-ups."""

from collections.abc import Mapping
from typing import Any

RULES = {
    "fresh_seeds": "mean of {runs} fresh seeds",
    "mean_over_seeds": "mean of {runs} seeds",
    "knee": "knee of the front",
}


def chosen_text(rule: str, runs: int) -> str:
    """How a winner was chosen; empty of the only run of its setting."""
    return RULES[rule].format(runs=runs) if runs > 1 else ""


def choice(value: Any) -> Any:
    """What was adopted; a section as the choice that it stands for, e.g. ``learned_mask`` for an inheritance."""
    if value is None:
        return "none"
    return value.get("neurons", "adopted") if isinstance(value, Mapping) else value


def nothing_adopted(current: bool | None) -> str:
    """Why a stage changed nothing."""
    return "what it started from" if current else "nothing"
