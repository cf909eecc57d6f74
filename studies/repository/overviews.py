"""Queries that look at many trials at once: counts, points and curves for lists and plots."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from studies.records import Study, StudyState, TrialState
from studies.repository.studies import get
from studies.tables import IntermediateValueRow, MetricRow, StudyRow, TrialRow


@dataclass(frozen=True, slots=True)
class Point:
    """A trial as a plot shows it."""

    number: int
    state: TrialState
    parameters: Mapping[str, Any]
    value: float | None
    """Its final objective; None while it runs, and where it has none."""


def find(
    session: Session, owner: str, states: Collection[StudyState], text: str, before_id: int | None, size: int
) -> list[Study]:
    """List the owner's studies in ``states`` whose name holds ``text``, newest first, starting below ``before_id``."""
    statement = select(StudyRow.id).where(StudyRow.owner == owner, StudyRow.state.in_(states))
    if text:
        statement = statement.where(func.lower(StudyRow.name).contains(text.lower(), autoescape=True))
    if before_id is not None:
        statement = statement.where(StudyRow.id < before_id)
    ids = session.scalars(statement.order_by(StudyRow.id.desc()).limit(size)).all()
    return [study for study_id in ids if (study := get(session, study_id)) is not None]


def counts_of(session: Session, study_ids: Collection[int]) -> dict[int, dict[TrialState, int]]:
    """Count the trials of several studies in each state that occurs."""
    table = TrialRow
    statement = select(table.study_id, table.state, func.count()).where(table.study_id.in_(study_ids))
    rows = session.execute(statement.group_by(table.study_id, table.state).order_by(table.study_id))
    return {study_id: {state: count for _, state, count in of} for study_id, of in groupby(rows, key=itemgetter(0))}


def final_values(session: Session, study_id: int, metric: str) -> dict[int, float | None]:
    """Read a metric of every trial, by number; None where it has none."""
    statement = select(TrialRow.number, MetricRow.value).outerjoin(MetricRow, _metric_of_trial(metric))
    of_study = statement.where(TrialRow.study_id == study_id).order_by(TrialRow.number)
    return dict(iter(session.execute(of_study)))


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
