"""What trials of several rounds say about the parts of their first round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from search.proxy import ROUND_PARAMETERS
from studies.records import Study, Trial, TrialState
from studies.repository import trials
from studies.service.overviews import drawing
from studies.service.studies import get_study
from trainer.rounds.config import PART_LOSS

Curve = Sequence[tuple[int, float]]
UNSEEN = "validation_loss"
"""Loss on text that no round trains on, nats per token."""


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The loss of one trial on each part of its first round, nats per token, by the step of its evaluation."""

    study: Study
    trial: Trial | None
    """None where no trial has been evaluated after a part had ended."""
    parts: Mapping[int, Curve]
    """By the part's number, from 1."""
    unseen: Curve


def measures_forgetting(spec: Mapping[str, Any]) -> bool:
    """Whether trials of a stored spec measure it, by its settings and what it varies: as ``search.proxy`` decides."""
    if spec.get("execution", "ray") != "ray":
        return False
    proxy = spec.get("proxy", {})
    asked = proxy.get("forgetting")
    varied = not ROUND_PARAMETERS.isdisjoint({*spec.get("space", {}), *spec.get("inner", {})})
    return bool(asked) if asked is not None else varied or proxy.get("rounds", 1) > 1


def forgetting(session: Session, owner: str, study_id: int, number: int | None = None) -> Forgetting:
    """Read the curves of trial ``number``; without one, of the best trial among those of most rounds.

    Raises:
        NotFound: the owner has no such study.
    """
    study = get_study(session, owner, study_id)
    trial = trials.get(session, study_id, number) if number is not None else _most_rounds(session, study)
    values = trials.intermediate_values(session, study_id, trial.number) if trial else []
    curves: dict[str, list[tuple[int, float]]] = {}
    for value in values:
        curves.setdefault(value.metric, []).append((value.step, value.value))
    parts = {int(name.removeprefix(PART_LOSS)): curves[name] for name in curves if name.startswith(PART_LOSS)}
    if not parts:
        return Forgetting(study, None, {}, ())
    return Forgetting(study, trial, dict(sorted(parts.items())), curves.get(UNSEEN, ()))


def _most_rounds(session: Session, study: Study) -> Trial | None:
    """The best of most rounds among the complete trials that a plot would draw."""
    objective = study.spec["objectives"][0]
    sign = -1 if objective["direction"] == "minimize" else 1
    drawn = drawing(session, study.owner, study.id).points
    ended = [
        (int(point.parameters.get("rounds", 1)), sign * point.value, -point.number)
        for point in drawn
        if point.state is TrialState.COMPLETE and point.value is not None
    ]
    return trials.get(session, study.id, -max(ended)[2]) if ended else None
