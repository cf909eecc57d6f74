"""Studies at a glance, and the trials that a plot of them draws."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from sqlalchemy.orm import Session

from studies.best_trials import best_by_objective
from studies.formulas.seed_noise import SEED, SeedNoise, seed_noise
from studies.records import (
    ACTIVE_STUDY_STATES,
    TERMINAL_TRIAL_STATES,
    TRAIN_LOSS,
    Study,
    StudyState,
    Trial,
    TrialState,
)
from studies.repository import overviews, studies, trials
from studies.repository.overviews import Point
from studies.service.studies import get_study

MAX_DRAWN_POINTS = 3000
"""Most trials that a plot draws as points (assumed: what a browser draws as SVG without delay)."""
MAX_DRAWN_CURVES = 400
"""Most learning curves of a plot (assumed, likewise: with 20 evaluations, 8000 points)."""
MAX_DRAWN_LOSSES = 60
"""Most training losses of a plot (assumed, likewise: of up to 200 steps each)."""
MAX_POOLED_TRIALS = 5000
"""Most trials, the first ones, from which the noise between seeds is pooled (assumed: known to 2 % by then)."""
BEST_SHARE = 0.5
"""Share of the drawn trials that are the best ones; the others are a fair choice (assumed)."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A study at a glance."""

    study: Study
    counts: Mapping[TrialState, int]
    best: Trial | None

    @property
    def ended(self) -> int:
        """Trials that have ended, whatever their state."""
        return sum(count for state, count in self.counts.items() if state in TERMINAL_TRIAL_STATES)

    @property
    def asked(self) -> int:
        """Trials that the study will have; of a study that has ended, those that it has.

        A finite design that is smaller than ``max_trial_count`` ends earlier.
        """
        if self.study.state not in ACTIVE_STUDY_STATES:
            return self.ended
        return int(self.study.spec["max_trial_count"])

    @property
    def metric(self) -> str:
        """The objective's metric."""
        return str(self.study.spec["objectives"][0]["metric"])

    @property
    def direction(self) -> str:
        """The objective's direction, minimize or maximize."""
        return str(self.study.spec["objectives"][0]["direction"])


@dataclass(frozen=True, slots=True)
class Drawing:
    """The trials that a plot draws."""

    study: Study
    points: Sequence[Point]
    total: int
    """All trials of the study; more than ``points`` where the study is too large to be drawn whole."""
    highlighted: Point | None
    """The trial that was asked for, among ``points``; None where there is none of that number."""


def overview(session: Session, owner: str, study_id: int) -> Overview:
    """Look at one study.

    Raises:
        NotFound: the owner has no such study.
    """
    return _overviews(session, [get_study(session, owner, study_id)])[0]


def find_overviews(
    session: Session, owner: str, states: Collection[StudyState], text: str, before_id: int | None, size: int
) -> list[Overview]:
    """Look at the owner's studies in ``states`` whose name holds ``text``, newest first, below ``before_id``."""
    return _overviews(session, studies.page(session, owner, before_id, size, states, text))


def drawing(
    session: Session, owner: str, study_id: int, most: int = MAX_DRAWN_POINTS, highlighted: int | None = None
) -> Drawing:
    """Choose the trials that a plot draws: all, or the best ones, a fair choice of the others and the highlighted one.

    Raises:
        NotFound: the owner has no such study.
    """
    study = get_study(session, owner, study_id)
    objective = study.spec["objectives"][0]
    values = overviews.final_values(session, study_id, objective["metric"])
    numbers = _chosen(values, objective["direction"] == "maximize", most) | (values.keys() & {highlighted})
    points = overviews.points(session, study_id, objective["metric"], numbers)
    shown = next((point for point in points if point.number == highlighted), None)
    return Drawing(study, points, len(values), shown)


def learning_curves(session: Session, drawn: Drawing) -> dict[int, list[tuple[int, float]]]:
    """Read the objective at each step of the drawn trials, by number."""
    numbers = [point.number for point in drawn.points]
    return overviews.curves(session, drawn.study.id, drawn.study.spec["objectives"][0]["metric"], numbers)


def training_losses(session: Session, drawn: Drawing) -> dict[int, list[tuple[int, float]]]:
    """Read the training loss by step of the drawn trials, by number; a study that was imported has none."""
    return overviews.curves(session, drawn.study.id, TRAIN_LOSS, [point.number for point in drawn.points])


def noise_between_seeds(session: Session, shown: Overview) -> SeedNoise | None:
    """Pool the objective's deviation between seeds; None where the study does not vary the seed, or not yet."""
    spec = shown.study.spec
    replicated = spec.get("seeds", {}).get("count", 1) > 1
    varied = (spec.get("space", {}), spec.get("inner", {}), _imported_parameters(spec))
    if not replicated and not any(SEED in names for names in varied):
        return None
    values = overviews.final_values(session, shown.study.id, shown.metric)
    points = overviews.points(session, shown.study.id, shown.metric, [*values][:MAX_POOLED_TRIALS])
    ended = [point for point in points if point.state is TrialState.COMPLETE]
    return seed_noise((point.parameters, point.value) for point in ended if point.value is not None)


def _imported_parameters(spec: Mapping[str, Any]) -> Collection[str]:
    columns: Mapping[str, Collection[str]] = spec.get("columns", {})
    return columns.get("parameters", ())


def _overviews(session: Session, found: Sequence[Study]) -> list[Overview]:
    counts = trials.counts_of(session, [study.id for study in found])
    return [Overview(study, counts.get(study.id, {}), _best(session, study)) for study in found]


def _best(session: Session, study: Study) -> Trial | None:
    return next(iter(best_by_objective(session, study, 1)), None)


def _chosen(values: Mapping[int, float | None], maximize: bool, most: int) -> set[int]:
    """Numbers of the trials to draw, at most ``most``."""
    if len(values) <= most:
        return set(values)
    measured = [(value, number) for number, value in values.items() if value is not None]
    ranked = [number for _, number in sorted(measured, reverse=maximize)]
    best = set(ranked[: int(most * BEST_SHARE)])
    others = sorted((number for number in values if number not in best), key=scattered)
    return best | set(others[: most - len(best)])


def scattered(number: int) -> int:
    """A place in an order whose first trials are a fair choice of all, and stay chosen while others are added."""
    return crc32(str(number).encode())
