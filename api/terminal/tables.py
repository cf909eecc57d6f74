"""Studies and trials as tables."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from api.terminal.consoles import printable, short
from studies.front import Front

MAX_ROWS = 100
Trial = Mapping[str, Any]


def plain_table(columns: Iterable[str]) -> Table:
    """A table without lines, for a terminal or a pipe."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name)
    return table


def study_table(studies: Iterable[Mapping[str, Any]]) -> Table:
    """One line a study."""
    table = plain_table(("id", "name", "state", "purpose", "trials asked", "created"))
    for study in studies:
        spec = study["spec"]
        asked = spec.get("max_trial_count")
        cells = (study["id"], study["name"], study["state"], spec["purpose"], asked, study["created_at"][:16])
        table.add_row(*(printable("" if cell is None else str(cell)) for cell in cells))
    return table


def trial_table(trials: Sequence[Trial], objectives: Sequence[Mapping[str, str]], front: Front | None = None) -> Table:
    """Trials by the first objective, best first, those without a value last; the first ``MAX_ROWS`` of them.

    Trials of a ``front`` come before all others, and a column says which they are.
    """
    marks = {number: "knee" if number == front.knee else "front" for number in front.numbers} if front else {}
    listed = sorted(trials, key=lambda trial: (trial["number"] not in marks, *_rank(trial, objectives[0])))[:MAX_ROWS]
    names = list(dict.fromkeys(name for trial in listed for name in trial["parameters"]))
    metrics = [objective["metric"] for objective in objectives]
    reasons = any(trial.get("reason") for trial in listed)
    further = [*(["front"] if marks else []), *(["reason"] if reasons else [])]
    table = plain_table(("trial", "state", *map(printable, names), *metrics, *further))
    for trial in listed:
        parameters = (short(trial["parameters"].get(name, "")) for name in names)
        values = (short(trial["metrics"].get(metric, "")) for metric in metrics)
        mark = [marks.get(trial["number"], "")] if marks else []
        ending = [printable(trial.get("reason") or "")] if reasons else []
        table.add_row(str(trial["number"]), trial["state"], *parameters, *values, *mark, *ending)
    if len(trials) > MAX_ROWS:
        table.caption = f"the first {MAX_ROWS} of {len(trials)}"
    return table


def key_table(keys: Iterable[Mapping[str, Any]]) -> Table:
    """One line a key."""
    columns = ("id", "owner", "role", "name", "starts with", "created", "last used", "revoked")
    fields = ("id", "owner", "role", "name", "prefix", "created_at", "last_used_at", "revoked_at")
    table = plain_table(columns)
    for key in keys:
        cells = (str(key[field] or "") for field in fields)
        table.add_row(
            *(
                printable(cell[:16] if field.endswith("_at") else cell)
                for field, cell in zip(fields, cells, strict=True)
            )
        )
    return table


def _rank(trial: Trial, objective: Mapping[str, str]) -> tuple[bool, float, int]:
    value = trial["metrics"].get(objective["metric"], math.nan)
    usable = trial["state"] == "COMPLETE" and math.isfinite(value)
    cost = (value if objective["direction"] == "minimize" else -value) if usable else 0.0
    return not usable, cost, trial["number"]
