"""A search space as a person reads it: how large, of what, why not larger, what for instance, at what cost."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from api.terminal.consoles import printable, short, short_parameters
from api.terminal.tables import plain_table

MAX_LISTED = 8
"""Most values that a cell lists."""

Json = Mapping[str, Any]


def print_space(console: Console, space: Json) -> None:
    """Print what ``GET …/space`` answers."""
    console.print(_size(space), soft_wrap=True)
    sections = {
        "what varies": _parameters(space),
        "what follows": _ranges(space["solved"]),
        "what is left out": _exclusions(space["exclusions"]),
        "for example": _examples(space["examples"]),
    }
    for title, table in sections.items():
        if table.row_count:
            console.print(f"\n{title}", style="bold")
            console.print(table)
    console.print("\nwhat it costs", style="bold")
    for line in _cost(space["cost"]):
        console.print(printable(line), soft_wrap=True)


def _size(space: Json) -> str:
    points = "a continuum of points" if space["points"] is None else f"{space['points']:,} points"
    inner = f", each trained at {space['inner_points']:,} inner points" if space["inner_points"] > 1 else ""
    return f"{points} ({space['shapes']:,} shapes of networks){inner}; {_acceptance(space)}"


def _acceptance(space: Json) -> str:
    if not space["acceptance_draws"]:
        return "no draw is rejected"
    return f"{space['acceptance']:.2%} of draws are accepted (of {space['acceptance_draws']:,} tried)"


def _parameters(space: Json) -> Table:
    table = plain_table(("parameter", "values", "exists where"))
    for name, parameter in space["parameters"].items():
        parents = space["conditions"].get(name, {})
        where = " and ".join(f"{parent} = {_listed(values, ' or ')}" for parent, values in parents.items())
        table.add_row(printable(name), _values(parameter), printable(where))
    for name, values in space["inner"].items():
        table.add_row(printable(name), f"{_listed(values)} (inner)", "")
    return table


def _values(parameter: Json) -> str:
    if parameter["type"] == "categorical":
        return _listed(parameter["choices"])
    step = f", every {short(parameter['step'])}" if parameter["step"] not in (None, 1) else ""
    return f"{short(parameter['low'])} to {short(parameter['high'])}{step}{', log' if parameter['log'] else ''}"


def _ranges(solved: Json) -> Table:
    table = plain_table(("name", "from", "to"))
    for name, held in solved.items():
        table.add_row(printable(name), short(held["low"]), short(held["high"]))
    return table


def _exclusions(exclusions: Sequence[Json]) -> Table:
    table = plain_table(("because", "leaves out", "values that never occur"))
    for exclusion in exclusions:
        gone = "; ".join(f"{name} {_listed(values)}" for name, values in exclusion["values"].items())
        because = f"{exclusion['field']}: {exclusion['text']}" if exclusion["field"] else exclusion["text"]
        table.add_row(printable(because), f"{exclusion['share']:.1%}", printable(gone))
    return table


def _examples(examples: Iterable[Json]) -> Table:
    table = plain_table(("point", "network"))
    for point in examples:
        shown = ("ffn_width", "heads", "total_parameters")
        network = {name: point["attributes"][name] for name in shown}
        table.add_row(short_parameters(point["values"]), short_parameters(network))
    return table


def _cost(cost: Json) -> Iterable[str]:
    tokens, flops = (_between(cost[name]) for name in ("tokens_per_trial", "flops_per_trial"))
    yield f"{cost['trials']:,} trials of {tokens} tokens and {flops} FLOPs: {cost['total_flops']:.3g} FLOPs in all"
    if cost["device_seconds"] is not None:
        yield f"{_duration(cost['device_seconds'])} of training, one trial after the other"
    yield from (f"- {assumption}" for assumption in cost["assumptions"])


def _between(held: Json) -> str:
    low, high = f"{held['low']:.3g}", f"{held['high']:.3g}"
    return low if low == high else f"{low} to {high}"


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _listed(values: Sequence[Any], joint: str = ", ") -> str:
    shown = joint.join(short(value) for value in values[:MAX_LISTED])
    return shown if len(values) <= MAX_LISTED else f"{shown} and {len(values) - MAX_LISTED} more"
