"""The search space of a study."""

from collections.abc import Sequence
from statistics import median

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from search.space.summary import SpaceSummary, summarize
from studies.records import Trial, TrialState
from studies.repository import trials
from studies.service.studies import get_study
from studies.spec import ImportSpec, StudySpec, build_space, stored_spec
from studies.specs.cost import Cost, Others, Speed, estimate_cost
from studies.trained_models import look_at_models

MAX_TIMED = 1000
"""Trials from which the speed is known (assumed)."""


def get_space(session: Session, owner: str, study_id: int) -> tuple[StudySpec, SpaceSummary, Cost]:
    """Describe the points that a study chooses from, and what its trials cost.

    Raises:
        NotFound: the owner has no such study.
        InvalidInput: the study was imported.
    """
    spec = stored_spec(get_study(session, owner, study_id).spec)
    if isinstance(spec, ImportSpec):
        raise InvalidInput(
            "study", f"study {study_id} was imported, its points were chosen elsewhere", "list its trials"
        )
    space = build_space(spec)
    speed = measured_speed(trials.page(session, study_id, None, MAX_TIMED))
    others = Others(*look_at_models(session, owner, spec))
    return spec, summarize(space), estimate_cost(spec, space, speed, others)


def measured_speed(stored: Sequence[Trial]) -> Speed | None:
    """The median speed of complete trials; a stacked one's time is its share of the program's."""
    speeds = [
        trial.metrics["train_flops"] / seconds
        for trial in stored
        if trial.state == TrialState.COMPLETE
        and "train_flops" in trial.metrics
        and isinstance(seconds := trial.attributes.get("training_seconds"), float)
        and seconds > 0
    ]
    if not speeds:
        return None
    speed = median(speeds)
    trials_said = "the complete trial" if len(speeds) == 1 else f"the median of {len(speeds)} complete trials"
    return Speed(speed, f"programs train at {speed:.3g} FLOP/s, {trials_said} of this study (measured)")
