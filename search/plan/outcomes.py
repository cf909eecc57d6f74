"""What an outer point is worth, from its trials."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from statistics import fmean

from search.events import Value
from search.problem import Values


def outer_values(
    ended: Mapping[int, Values | None], inner_points: Sequence[Mapping[str, Value]], direction: str
) -> Values | None:
    """The objectives of an outer point: means over inner seeds, of the setting of the other inner parameters that is
    best by the first objective, whose ``direction`` is given.

    A setting of which one seed failed does not count; None when none counts.
    """
    settings: dict[tuple[tuple[str, Value], ...], list[Values | None]] = defaultdict(list)
    for inner, values in ended.items():
        key = tuple((name, given) for name, given in inner_points[inner].items() if name != "seed")
        settings[key].append(values)
    means = [
        tuple(map(fmean, zip(*kept, strict=True)))
        for seeds in settings.values()
        if len(kept := [values for values in seeds if values is not None]) == len(seeds)
    ]
    best = min if direction == "minimize" else max
    return best(means, key=itemgetter(0), default=None)
