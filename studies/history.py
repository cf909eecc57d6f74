"""What a search must know of its earlier runs, read from the rows."""

from search.problem import PastTrial
from studies.database import Database
from studies.repository import trials


def read_history(database: Database, study_id: int, metric: str) -> list[PastTrial]:
    """Read every trial that earlier runs of the search have stored; ``metric`` is the objective."""
    with database.read_session() as session:
        evaluations = trials.evaluations(session, study_id, metric)
        stored = trials.page(session, study_id, None, None)
    return [
        PastTrial(
            number=trial.number,
            parameters=trial.parameters,
            attributes=trial.attributes,
            state=trial.state.value,
            value=trial.metrics.get(metric),
            evaluations=evaluations.get(trial.number, ()),
            lost_workers=trial.lost_workers,
        )
        for trial in stored
    ]
