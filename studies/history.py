"""What a search must know of its earlier runs, read from the rows."""

from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from search.problem import PastTrial, Values
from studies.database import Database
from studies.repository import trials


def read_history(database: Database, study_id: int, metrics: Sequence[str]) -> list[PastTrial]:
    """Read every trial that earlier runs of the search have stored; ``metrics`` are the objectives."""
    with database.read_session() as session:
        return history_of(session, study_id, metrics)


def history_of(session: Session, study_id: int, metrics: Sequence[str]) -> list[PastTrial]:
    """As ``read_history``, in a transaction that is open."""
    evaluations = trials.evaluations(session, study_id, metrics[0])
    return [
        PastTrial(
            number=trial.number,
            parameters=trial.parameters,
            attributes=trial.attributes,
            state=trial.state.value,
            values=_values(trial.metrics, metrics),
            evaluations=evaluations.get(trial.number, ()),
            lost_workers=trial.lost_workers,
        )
        for trial in trials.page(session, study_id, None, None)
    ]


def _values(stored: Mapping[str, float], metrics: Sequence[str]) -> Values | None:
    """The objectives; None where one is missing."""
    values = tuple(stored[metric] for metric in metrics if metric in stored)
    return values if len(values) == len(metrics) else None
