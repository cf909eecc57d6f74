"""Tables of runs made elsewhere, read into trials."""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from model.errors import InvalidInput
from search.events import Value
from search.parameters import METRIC_NAMES, PARAMETER_NAMES, TEXT_NAMES
from studies.records import Trial, TrialState

MAX_BYTES = 32 * 2**20
"""As much as the application takes in one request."""
MAX_ROWS = 1_000_000
MAX_COLUMNS = 1000
MAX_REPORTED = 50
"""Cells that are not finite which are named one by one (assumed: more are read by nobody)."""
Direction = Literal["minimize", "maximize"]
DIRECTIONS: tuple[Direction, ...] = ("minimize", "maximize")


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a table holds what, by position."""

    parameters: dict[int, str]
    metrics: dict[int, str]
    attributes: dict[int, str]

    def names(self) -> dict[str, tuple[str, ...]]:
        """The names of each kind of column, in their order."""
        kinds = {"parameters": self.parameters, "metrics": self.metrics, "attributes": self.attributes}
        return {kind: tuple(names.values()) for kind, names in kinds.items()}


def parse_objective(objective: str) -> tuple[str, Direction]:
    """Read ``METRIC`` or ``METRIC:DIRECTION``; the direction is minimize when left out.

    Raises:
        InvalidInput: the metric is no standard one, or the direction is none.
    """
    metric, _, asked = objective.partition(":")
    if metric not in METRIC_NAMES:
        names = ", ".join(sorted(METRIC_NAMES))
        raise InvalidInput("objective", f"{metric!r} is not a standard metric", f"use one of {names}")
    direction = next((known for known in DIRECTIONS if known == (asked or "minimize")), None)
    if direction is None:
        raise InvalidInput("objective", f"{asked!r} is not a direction", "write METRIC:minimize or METRIC:maximize")
    return metric, direction


@dataclass(frozen=True, slots=True)
class RunTable:
    """A table of runs."""

    columns: Columns
    trials: list[Trial]
    unusable: tuple[str, ...]
    """Metrics that are not finite, by line: at most ``MAX_REPORTED``, then how many more there are."""


def read_table(table: bytes, metric: str, now: datetime) -> RunTable:
    """Read a CSV table with a header as trials, numbered from 0 in the order of its rows.

    Columns with standard names are parameters or metrics, the others attributes. Empty cells are left out, and so is
    a metric that is not finite, which is reported by line. A row without a finite ``metric`` is a failed trial.

    Raises:
        InvalidInput: the table is empty or too large, its header is unusable, or a cell cannot be read (by line).
    """
    if len(table) > MAX_BYTES:
        raise InvalidInput("table", f"it holds {len(table)} bytes, {MAX_BYTES} are allowed", "split it into several")
    if b"\0" in table:
        raise InvalidInput("table", "it holds a NUL byte", "save it as UTF-8 text")
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(table), encoding="utf-8-sig", newline=""), strict=True)
    try:
        columns = _read_header(next(reader, []), metric)
        unusable: list[str] = []
        trials = list(_read_rows(reader, columns, metric, now, unusable))
    except UnicodeDecodeError as error:
        raise InvalidInput("table", f"it is not UTF-8 ({error.reason})", "save it as UTF-8") from error
    except csv.Error as error:
        raise InvalidInput("table", f"line {reader.line_num}: {error}", "write it as comma-separated values") from error
    if not trials:
        raise InvalidInput("table", "it holds no rows", "give a header and a row for each run")
    return RunTable(columns, trials, _shortened(unusable))


def _shortened(unusable: Sequence[str]) -> tuple[str, ...]:
    more = len(unusable) - MAX_REPORTED
    return (*unusable[:MAX_REPORTED], f"and {more} further cells") if more > 0 else tuple(unusable)


class Reader(Protocol):
    """What ``csv.reader`` gives."""

    @property
    def line_num(self) -> int:
        """Lines read so far."""

    def __iter__(self) -> Iterator[list[str]]:
        """Yield the rows that are left."""


def _read_rows(reader: Reader, columns: Columns, metric: str, now: datetime, unusable: list[str]) -> Iterator[Trial]:
    for number, row in enumerate(filter(None, reader)):
        if number == MAX_ROWS:
            raise InvalidInput("table", f"it holds more than {MAX_ROWS} rows", "split it into several")
        yield _read_trial(number, row, reader.line_num, columns, metric, now, unusable)


def _read_header(header: Sequence[str], metric: str) -> Columns:
    names = [name.strip() for name in header]
    if not any(names):
        raise InvalidInput("table", "it is empty", "give a header and a row for each run")
    if len(names) == 1 and any(separator in names[0] for separator in ";\t|"):
        raise InvalidInput("table", f"its header is one cell, {names[0][:50]!r}", "separate cells by commas")
    if len(names) > MAX_COLUMNS:
        raise InvalidInput("table", f"it has {len(names)} columns, {MAX_COLUMNS} are allowed", "leave some out")
    unusable = next((name for name in names if not name or names.count(name) > 1), None)
    if unusable is not None:
        raise InvalidInput("table", f"the header holds {unusable[:50]!r} twice or an empty name", "rename the columns")
    if metric not in names:
        raise InvalidInput("objective", f"the table has no column {metric}", f"name one of {', '.join(names)[:500]}")
    places = dict(enumerate(names))
    standard = PARAMETER_NAMES | METRIC_NAMES
    return Columns(
        parameters={place: name for place, name in places.items() if name in PARAMETER_NAMES},
        metrics={place: name for place, name in places.items() if name in METRIC_NAMES},
        attributes={place: name for place, name in places.items() if name not in standard},
    )


def _read_trial(
    number: int,
    row: Sequence[str],
    line: int,
    columns: Columns,
    metric: str,
    now: datetime,
    unusable: list[str],
) -> Trial:
    width = len(columns.parameters) + len(columns.metrics) + len(columns.attributes)
    if len(row) != width:
        reason = f"line {line} has {len(row)} cells, the header {width}"
        raise InvalidInput("table", reason, "give every row as many cells")
    cells = [cell.strip() for cell in row]
    parameters = {name: _parameter(name, cells[i], line) for i, name in columns.parameters.items() if cells[i]}
    read = {name: _number(name, cells[i], line) for i, name in columns.metrics.items() if cells[i]}
    metrics = {name: float(value) for name, value in read.items() if math.isfinite(value)}
    unusable += [f"line {line}: {name} is {value}" for name, value in read.items() if name not in metrics]
    unusable += [f"line {line}: {metric} is missing"] if metric not in read else []
    complete = metric in metrics
    return Trial(
        number=number,
        state=TrialState.COMPLETE if complete else TrialState.FAIL,
        parameters=parameters,
        metrics=metrics,
        attributes={name: _attribute(cells[i]) for i, name in columns.attributes.items() if cells[i]},
        reason=None if complete else f"line {line}: {metric} is {read.get(metric, 'missing')}",
        attempts=0,
        started_at=None,
        finished_at=now,
    )


def _parameter(name: str, cell: str, line: int) -> Value:
    if name in TEXT_NAMES:
        return cell
    value = _number(name, cell, line)
    if not math.isfinite(value):
        raise InvalidInput(name, f"line {line}: {cell!r} is not finite", "write a number or leave the cell empty")
    return value


def _number(name: str, cell: str, line: int) -> int | float:
    value = _parsed(cell)
    if value is None:
        raise InvalidInput(
            name, f"line {line}: {cell[:50]!r} is not a number", "write a number or leave the cell empty"
        )
    return value


def _attribute(cell: str) -> Value:
    value = _parsed(cell)
    return cell if value is None else value


def _parsed(cell: str) -> int | float | None:
    """Read a number; a whole one too long for 64 bits becomes a float."""
    try:
        value = float(cell)
    except ValueError:
        return None
    try:
        return int(cell) if abs(value) < 2**63 else value
    except ValueError:
        return value
