"""Studies and trials as tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from api.terminal.consoles import printable, short

MAX_ROWS = 100
Trial = Mapping[str, Any]


def study_table(studies: Iterable[Mapping[str, Any]]) -> Table:
    """One line a study."""
    table = _table(("id", "name", "state", "purpose", "trials asked", "created"))
    for study in studies:
        spec = study["spec"]
        asked = spec.get("max_trial_count")
        cells = (study["id"], study["name"], study["state"], spec["purpose"], asked, study["created_at"][:16])
        table.add_row(*(printable("" if cell is None else str(cell)) for cell in cells))
    return table


def trial_table(trials: Sequence[Trial], metric: str, direction: str) -> Table:
    """Trials by objective, best first, those without a value last; the first ``MAX_ROWS`` of them."""
    listed = sorted(trials, key=lambda trial: _rank(trial, metric, direction))[:MAX_ROWS]
    names = list(dict.fromkeys(name for trial in listed for name in trial["parameters"]))
    reasons = any(trial.get("reason") for trial in listed)
    table = _table(("trial", "state", *map(printable, names), metric, *(["reason"] if reasons else [])))
    for trial in listed:
        parameters = (short(trial["parameters"].get(name, "")) for name in names)
        value = short(trial["metrics"].get(metric, ""))
        ending = [printable(trial.get("reason") or "")] if reasons else []
        table.add_row(str(trial["number"]), trial["state"], *parameters, value, *ending)
    if len(trials) > MAX_ROWS:
        table.caption = f"the first {MAX_ROWS} of {len(trials)}"
    return table


def key_table(keys: Iterable[Mapping[str, Any]]) -> Table:
    """One line a key."""
    columns = ("id", "owner", "role", "name", "starts with", "created", "last used", "revoked")
    fields = ("id", "owner", "role", "name", "prefix", "created_at", "last_used_at", "revoked_at")
    table = _table(columns)
    for key in keys:
        cells = (str(key[field] or "") for field in fields)
        table.add_row(
            *(
                printable(cell[:16] if field.endswith("_at") else cell)
                for field, cell in zip(fields, cells, strict=True)
            )
        )
    return table


def _rank(trial: Trial, metric: str, direction: str) -> tuple[bool, float, int]:
    value = trial["metrics"].get(metric, math.nan)
    usable = trial["state"] == "COMPLETE" and math.isfinite(value)
    cost = (value if direction == "minimize" else -value) if usable else 0.0
    return not usable, cost, trial["number"]


def _table(columns: Iterable[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name)
    return table
