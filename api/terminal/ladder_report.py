"""The ladder of a campaign in a terminal, or as Markdown for a write-up."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from api.ladder_words import (
    COST_HEADINGS,
    HEADINGS,
    LADDER_NOTE,
    PAPER_NOTE,
    cost_rows,
    order_lines,
    reason_lines,
    rung_rows,
)
from api.terminal.consoles import printable
from api.terminal.tables import plain_table

Json = Mapping[str, Any]


def print_ladder(console: Console, ladder: Json) -> None:
    """Print what each rung came to, what each step brought, and what the campaign cost."""
    judgement = ladder["judgement"]
    if judgement is not None:
        _print_table(console, HEADINGS, rung_rows(judgement))
        for line in ladder_lines(judgement):
            console.print(printable(line), soft_wrap=True)
        console.print()
    _print_table(console, COST_HEADINGS, cost_rows(ladder))


def ladder_lines(judgement: Json) -> list[str]:
    """What the table of rungs does not say by itself."""
    return [LADDER_NOTE, PAPER_NOTE, *reason_lines(judgement), *order_lines(judgement), *judgement["remarks"]]


def _print_table(console: Console, headings: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    table = plain_table(headings)
    for row in rows:
        table.add_row(*map(printable, row))
    console.print(table)
    console.print()


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts; what would end a cell or begin markup is escaped."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    plain = printable(text.replace("\n", " "))
    return "".join(f"\\{one}" if one in "|<>`*_[]\\" else one for one in plain)
