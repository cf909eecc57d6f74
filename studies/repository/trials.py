"""Queries on trials and their values. What happens to a trial while it runs is in studies.repository.attempts."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal

from sqlalchemy import Row, Select, func, insert, select, tuple_
from sqlalchemy.orm import Session

from search.events import Value
from search.origins import ORIGIN
from studies.records import IntermediateValue, Trial, TrialState
from studies.tables import IntermediateValueRow, MetricRow, TrialRow, table_of

CHUNK = 5000
"""Trials in one bulk insert, so that a large table is not held a second time in memory (assumed)."""
MAX_LISTED = 500
"""Trials that a query lists by number; of more it reads the range (assumed; SQLite takes 32 766 values)."""

_FIELDS = (
    "number",
    "state",
    "parameters",
    "attributes",
    "reason",
    "attempts",
    "started_at",
    "finished_at",
    "lost_workers",
    "client",
)
"""What a trial and its row have in common."""
_IS_REPLICATE = func.coalesce(TrialRow.attributes[ORIGIN].as_string(), "design") == "replicate"
_COLUMNS = tuple(getattr(TrialRow, name) for name in _FIELDS)


def add_many(session: Session, study_id: int, trials: Sequence[Trial]) -> None:
    """Insert trials with their metrics."""
    for first in range(0, len(trials), CHUNK):
        chunk = trials[first : first + CHUNK]
        session.execute(insert(table_of(TrialRow)), [_columns(study_id, trial) for trial in chunk])
        metrics = [row for trial in chunk for row in metric_rows(study_id, trial.number, trial.metrics)]
        if metrics:
            session.execute(insert(table_of(MetricRow)), metrics)


def get(session: Session, study_id: int, number: int) -> Trial | None:
    """Find a trial."""
    found = _with_metrics(session, study_id, _of_study(study_id).where(TrialRow.number == number))
    return found[0] if found else None


def page(session: Session, study_id: int, after_number: int | None, size: int | None) -> list[Trial]:
    """List trials by number, ``size`` of them, starting above ``after_number``."""
    return _page(session, study_id, _of_study(study_id), after_number, size)


def changed_since(
    session: Session, study_id: int, revision: int, after_number: int | None, size: int | None
) -> list[Trial]:
    """List trials that changed after a revision of the study, paged like ``page``."""
    changed = _of_study(study_id).where(TrialRow.revision > revision)
    return _page(session, study_id, changed, after_number, size)


def best(
    session: Session, study_id: int, metric: str, direction: Literal["minimize", "maximize"], size: int
) -> list[Trial]:
    """List the ``size`` best complete trials, best first; equal ones by number. Replicates of leaders are left out."""
    order = MetricRow.value.asc() if direction == "minimize" else MetricRow.value.desc()
    statement = (
        _of_study(study_id)
        .join(MetricRow, (MetricRow.study_id == TrialRow.study_id) & (MetricRow.number == TrialRow.number))
        .where(MetricRow.name == metric, TrialRow.state == TrialState.COMPLETE, ~_IS_REPLICATE)
        .order_by(order, TrialRow.number)
        .limit(size)
    )
    return _with_metrics(session, study_id, statement)


def listed(session: Session, study_id: int, numbers: Sequence[int]) -> list[Trial]:
    """List the trials of these numbers, at most ``MAX_LISTED`` at a time, in their order."""
    found: dict[int, Trial] = {}
    for first in range(0, len(numbers), MAX_LISTED):
        chosen = _of_study(study_id).where(TrialRow.number.in_(numbers[first : first + MAX_LISTED]))
        found |= {trial.number: trial for trial in _with_metrics(session, study_id, chosen)}
    return [found[number] for number in numbers if number in found]


def replicates(session: Session, study_id: int) -> list[Trial]:
    """List the trials by which leaders were trained again, by number."""
    return _with_metrics(session, study_id, _of_study(study_id).where(_IS_REPLICATE).order_by(TrialRow.number))


def count_by_state(session: Session, study_id: int) -> dict[TrialState, int]:
    """Count a study's trials in each state that occurs."""
    return counts_of(session, [study_id]).get(study_id, {})


def counts_of(session: Session, study_ids: Collection[int]) -> dict[int, dict[TrialState, int]]:
    """Count the trials of several studies in each state that occurs."""
    table = TrialRow
    statement = select(table.study_id, table.state, func.count()).where(table.study_id.in_(study_ids))
    rows = session.execute(statement.group_by(table.study_id, table.state).order_by(table.study_id))
    return {study_id: {state: count for _, state, count in of} for study_id, of in groupby(rows, key=itemgetter(0))}


def numbers(session: Session, study_id: int, state: TrialState) -> list[int]:
    """List the numbers of the trials in one state."""
    statement = select(TrialRow.number).where(TrialRow.study_id == study_id, TrialRow.state == state)
    return list(session.scalars(statement.order_by(TrialRow.number)))


def evaluations(session: Session, study_id: int, metric: str) -> dict[int, tuple[float, ...]]:
    """Read a metric at each step of every trial, by number, in the order of the steps."""
    table = IntermediateValueRow
    statement = select(table.number, table.value).where(table.study_id == study_id, table.metric == metric)
    rows = session.execute(statement.order_by(table.number, table.step))
    return {number: tuple(value for _, value in group) for number, group in groupby(rows, key=itemgetter(0))}


def intermediate_values(session: Session, study_id: int, number: int) -> list[IntermediateValue]:
    """List what the latest attempt reported, in order of its steps."""
    table = IntermediateValueRow
    statement = select(table.number, table.step, table.metric, table.value)
    of_trial = statement.where(table.study_id == study_id, table.number == number)
    return [IntermediateValue(*row) for row in session.execute(of_trial.order_by(table.step, table.metric))]


def values_since(
    session: Session, study_id: int, revision: int, after: IntermediateValue | None, size: int | None
) -> list[IntermediateValue]:
    """List ``size`` values that were written after a revision of the study, by number and step, above ``after``."""
    table = IntermediateValueRow
    statement = select(table.number, table.step, table.metric, table.value)
    since = statement.where(table.study_id == study_id, table.revision > revision)
    if after is not None:
        place = tuple_(table.number, table.step, table.metric)
        since = since.where(place > tuple_(after.number, after.step, after.metric))
    ordered = since.order_by(table.number, table.step, table.metric).limit(size)
    return [IntermediateValue(*row) for row in session.execute(ordered)]


def storable(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Write attributes for a JSON column; NaN and infinity, which JSON lacks, become text."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in attributes.items()
    }


def _of_study(study_id: int) -> Select[Any]:
    return select(*_COLUMNS).where(TrialRow.study_id == study_id)


def _page(
    session: Session, study_id: int, statement: Select[Any], after_number: int | None, size: int | None
) -> list[Trial]:
    if after_number is not None:
        statement = statement.where(TrialRow.number > after_number)
    return _with_metrics(session, study_id, statement.order_by(TrialRow.number).limit(size))


def _with_metrics(session: Session, study_id: int, statement: Select[Any]) -> list[Trial]:
    rows = session.execute(statement).all()
    metrics = _metrics(session, study_id, [row.number for row in rows])
    return [_trial(row, metrics.get(row.number, {})) for row in rows]


def _metrics(session: Session, study_id: int, numbers: Sequence[int]) -> dict[int, dict[str, float]]:
    """Read the metrics of trials, by number."""
    if not numbers:
        return {}
    statement = select(MetricRow.number, MetricRow.name, MetricRow.value).where(MetricRow.study_id == study_id)
    if len(numbers) > MAX_LISTED:
        statement = statement.where(MetricRow.number.between(min(numbers), max(numbers)))
    else:
        statement = statement.where(MetricRow.number.in_(numbers))
    rows = session.execute(statement.order_by(MetricRow.number))
    return {number: {name: value for _, name, value in group} for number, group in groupby(rows, key=itemgetter(0))}


def _trial(row: Row[Any], metrics: Mapping[str, float]) -> Trial:
    return Trial(metrics=metrics, **row._mapping)


def _columns(study_id: int, trial: Trial) -> dict[str, Any]:
    columns = {name: getattr(trial, name) for name in _FIELDS}
    return {**columns, "study_id": study_id, "attributes": storable(trial.attributes)}


def metric_rows(study_id: int, number: int, metrics: Mapping[str, float]) -> list[dict[str, Any]]:
    """Write a trial's metrics as rows."""
    return [{"study_id": study_id, "number": number, "name": name, "value": value} for name, value in metrics.items()]
