"""A formula as a card that a person can judge."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from api.terminal.chart import draw_chart
from api.terminal.consoles import printable, short

VERDICT_STYLES = {
    "recovered": "bold green",
    "determined": "bold green",
    "refuted": "bold red",
    "undetermined": "yellow",
}

SUPPLY = "formulary formulas {0} --kind {kind} --suggest-study prints the spec of a study that would decide"
Formula = Mapping[str, Any]


def formula_cards(formulas: Sequence[Formula]) -> list[RenderableType]:
    """A card for each formula, and a line for each variant that has no numbers."""
    shown = [formula for formula in formulas if formula["expression"] or not formula["variant"]]
    lines = [_line(formula) for formula in formulas if formula["variant"] and not formula["expression"]]
    return [*map(formula_card, shown), *lines]


def _line(formula: Formula) -> Text:
    reason = next(iter(formula["reasons"]), "")
    name = f"{formula['kind']} {formula['variant'].replace('_', ' ')}"
    return Text.assemble((printable(name), "bold"), f": {formula['verdict']}; {printable(reason)}")


def formula_card(formula: Formula) -> RenderableType:
    """The statement, its coefficients with intervals, the law over the data, and the verdict with its reasons."""
    parts: list[RenderableType] = [Text(printable(formula["statement"]), style="bold")]
    parts += [_coefficients(formula["coefficients"])] if formula["coefficients"] else []
    evidence = formula["evidence"]
    chart = draw_chart(evidence["curve"], evidence["points"], evidence["axes"])
    parts += [Text("\n".join(chart), no_wrap=True)] if chart else []
    parts.append(Text(_basis(formula), style="dim"))
    parts.append(Text.assemble("verdict: ", (formula["verdict"], VERDICT_STYLES.get(formula["verdict"], "bold"))))
    parts += [Text(f"- {printable(reason)}") for reason in formula["reasons"]]
    if formula["supply"] is not None and len(formula["studies"]) == 1:
        parts.append(Text(f"- {SUPPLY.format(*formula['studies'], kind=formula['kind'])}"))
    return Panel(Group(*parts), title=f"{formula['kind']} (formula {formula['id']})", title_align="left")


def _coefficients(coefficients: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("coefficient", "estimate", "interval", "unit", "the paper", "verdict"):
        table.add_column(name, overflow="fold")
    for name, value in coefficients.items():
        interval = "" if value["low"] is None and value["high"] is None else _range(value["low"], value["high"])
        level = f" at {100 * value['level']:.3g}%" if interval else ""
        cells = (_number(value["estimate"]), interval + level, value["unit"], _claim(value), value["verdict"] or "")
        table.add_row(printable(name), *map(printable, cells))
    return table


def _claim(coefficient: Mapping[str, Any]) -> str:
    paper = coefficient["paper"]
    return "" if paper is None else f"{paper['formula']}: {_range(*paper['region'])}"


def _range(low: float | None, high: float | None) -> str:
    return f"{'-∞' if low is None else short(float(low))} … {'∞' if high is None else short(float(high))}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else short(float(value))


def _basis(formula: Formula) -> str:
    error = formula["held_out_error"]
    held_out = "" if error is None else f", held-out error {short(float(error))} {formula.get('held_out_unit', '')}"
    ranges = ", ".join(f"{name} {_extent(float(low), float(high))}" for name, (low, high) in formula["domain"].items())
    return printable(f"{formula['observations']} observations{held_out}; {ranges}")


def _extent(low: float, high: float) -> str:
    return short(low) if low == high else f"{short(low)}–{short(high)}"
