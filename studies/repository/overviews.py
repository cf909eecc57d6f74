"""Queries that look at many trials at once: points and curves for plots."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from search.problem import Values
from studies.records import TrialState
from studies.tables import IntermediateValueRow, MetricRow, TrialRow


@dataclass(frozen=True, slots=True)
class Point:
    """A trial as a plot shows it."""

    number: int
    state: TrialState
    parameters: Mapping[str, Any]
    value: float | None
    """Its final objective; None while it runs, and where it has none."""


def final_values(session: Session, study_id: int, metric: str) -> dict[int, float | None]:
    """Read a metric of every trial, by number; None where it has none."""
    statement = select(TrialRow.number, MetricRow.value).outerjoin(MetricRow, _metric_of_trial(metric))
    of_study = statement.where(TrialRow.study_id == study_id).order_by(TrialRow.number)
    return dict(iter(session.execute(of_study)))


def objective_values(session: Session, study_id: int, metrics: Sequence[str]) -> dict[int, Values]:
    """Read several metrics of the complete trials that have all of them, by number, in order of the numbers."""
    statement = select(MetricRow.number, MetricRow.name, MetricRow.value).join(
        TrialRow, (TrialRow.study_id == MetricRow.study_id) & (TrialRow.number == MetricRow.number)
    )
    complete = statement.where(MetricRow.study_id == study_id, TrialRow.state == TrialState.COMPLETE)
    rows = session.execute(complete.where(MetricRow.name.in_(metrics)).order_by(MetricRow.number))
    found = ((number, {name: value for _, name, value in of}) for number, of in groupby(rows, key=itemgetter(0)))
    return {number: tuple(of[metric] for metric in metrics) for number, of in found if len(of) == len(metrics)}


def points(session: Session, study_id: int, metric: str, numbers: Collection[int]) -> list[Point]:
    """Read trials as points, in order of their numbers."""
    columns = (TrialRow.number, TrialRow.state, TrialRow.parameters, MetricRow.value)
    statement = select(*columns).outerjoin(MetricRow, _metric_of_trial(metric))
    chosen = statement.where(TrialRow.study_id == study_id, TrialRow.number.in_(numbers))
    return [Point(*row) for row in session.execute(chosen.order_by(TrialRow.number))]


def curves(
    session: Session, study_id: int, metric: str, numbers: Collection[int]
) -> dict[int, list[tuple[int, float]]]:
    """Read a metric at each step of some trials' latest attempts, by number, in the order of the steps."""
    table = IntermediateValueRow
    statement = select(table.number, table.step, table.value)
    chosen = statement.where(table.study_id == study_id, table.metric == metric, table.number.in_(numbers))
    rows = session.execute(chosen.order_by(table.number, table.step))
    return {number: [(step, value) for _, step, value in of] for number, of in groupby(rows, key=itemgetter(0))}


def _metric_of_trial(metric: str) -> Any:
    return and_(MetricRow.study_id == TrialRow.study_id, MetricRow.number == TrialRow.number, MetricRow.name == metric)
