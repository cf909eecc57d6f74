"""Trials of earlier studies as outer points of this one, which a sampler is told before it is first asked."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from operator import itemgetter

from search.events import Value
from search.problem import SearchProblem, Values


def outer_points(problem: SearchProblem) -> Iterator[tuple[Mapping[str, Value], Values | None]]:
    """Outer points of earlier trials, each study's own, with the objectives of the best of their trials.

    A point is worth the best of its inner points, as one of this search is; None when all of its trials failed.
    """
    best = min if problem.objective.direction == "minimize" else max
    found: dict[tuple[str, frozenset[tuple[str, Value]]], list[Values | None]] = defaultdict(list)
    for trial in problem.start.earlier:
        values = (item for item in trial.parameters.items() if item[0] not in problem.space.inner)
        found[trial.study, frozenset(values)].append(trial.values)
    for (_, point), told in found.items():
        yield dict(point), best((each for each in told if each is not None), key=itemgetter(0), default=None)
