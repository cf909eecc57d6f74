"""The ladder of a campaign in a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console

from api.ladder_words import (
    COST_HEADINGS,
    HEADINGS,
    LADDER_NOTE,
    PAPER_NOTE,
    cost_rows,
    ladder_lines,
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
        for line in (LADDER_NOTE, PAPER_NOTE, *ladder_lines(judgement)):
            console.print(printable(line), soft_wrap=True)
        console.print()
    _print_table(console, COST_HEADINGS, cost_rows(ladder))


def _print_table(console: Console, headings: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    table = plain_table(headings)
    for row in rows:
        table.add_row(*map(printable, row))
    console.print(table)
    console.print()
