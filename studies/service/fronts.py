"""What the plots of several objectives show: the front among other trials, and the hypervolume by trial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy.orm import Session

from search.pareto import as_costs, growing_hypervolume, reference_box
from search.problem import Values
from studies.front import Front, find_front
from studies.records import Study
from studies.repository import overviews
from studies.repository.overviews import Point
from studies.service.overviews import MAX_DRAWN_POINTS, scattered
from studies.service.studies import get_study


@dataclass(frozen=True, slots=True)
class DrawnFront:
    """The trials that a plot of several objectives draws."""

    study: Study
    values: Mapping[int, Values]
    """The objectives of all complete trials that have them, by number."""
    front: Front
    points: Sequence[Point]
    """The trials that are drawn: the front, as far as it goes, and a fair choice of the others."""

    @property
    def metrics(self) -> list[str]:
        """The objectives' metrics."""
        return [objective["metric"] for objective in self.study.spec["objectives"]]

    @property
    def directions(self) -> list[str]:
        """The objectives' directions."""
        return [objective["direction"] for objective in self.study.spec["objectives"]]


@dataclass(frozen=True, slots=True)
class Growth:
    """How the hypervolume of a study's front has grown."""

    shares: Sequence[tuple[int, float]]
    """(number, hypervolume of the trials up to it) by number, a share of the box between ideal and reference point."""
    reference: Values
    """What the hypervolume is measured to; see ``search.pareto.reference_box``."""


def drawn_front(
    session: Session, owner: str, study_id: int, most: int = MAX_DRAWN_POINTS, highlighted: int | None = None
) -> DrawnFront:
    """Choose the trials that a plot draws, at most ``most`` and the highlighted one.

    Raises:
        NotFound: the owner has no such study.
    """
    study = get_study(session, owner, study_id)
    metrics = [objective["metric"] for objective in study.spec["objectives"]]
    values = overviews.objective_values(session, study_id, metrics)
    front = find_front([objective["direction"] for objective in study.spec["objectives"]], values)
    chosen = dict.fromkeys(front.numbers[:most])
    others = sorted((number for number in values if number not in chosen), key=scattered)
    chosen |= dict.fromkeys(islice(others, most - len(chosen)))
    numbers = chosen.keys() | (values.keys() & {highlighted})
    return DrawnFront(study, values, front, overviews.points(session, study_id, metrics[0], numbers))


def hypervolume_growth(drawn: DrawnFront) -> Growth | None:
    """Follow the hypervolume over the complete trials, by number; None before the first one."""
    numbers = [number for number in drawn.values if drawn.front.knee is not None]
    if not numbers:
        return None
    costs = as_costs([drawn.values[number] for number in numbers], drawn.directions)
    ideal, reference = reference_box(costs)
    box = float((reference - ideal).prod())
    shares = [volume / box for volume in growing_hypervolume(costs, reference)]
    signs = as_costs([[1.0] * len(reference)], drawn.directions)[0]
    return Growth([*zip(numbers, shares, strict=True)], tuple((signs * reference).tolist()))
