"""Rows of one run at several lengths: architectures are compared at one length, each run once."""

from collections import Counter
from collections.abc import Hashable, Sequence

from search.events import Value
from studies.formulas.observations import Observation, group_by, levels, parameter_key

RUN_NAMES = ("run", "run_name")
"""Attributes that say which rows are of one run."""
LENGTHS = ("train_tokens", "train_bytes")
SAME_LENGTH = 0.05
"""Lengths closer than this are one: they differ by rounding to whole batches (assumed)."""
COMMON_SHARE = 0.8
"""Share of the runs that must reach a length for it to be the common one (assumed)."""


def run_of(row: Observation) -> Hashable:
    """What rows of one run share: its name, where the table gives one, and all parameters."""
    label: Value | None = next((row.attributes[name] for name in RUN_NAMES if name in row.attributes), None)
    return label, parameter_key(row, frozenset())


def at_one_length(rows: Sequence[Observation]) -> list[Observation]:
    """Of runs that are there at several lengths, the rows at the longest length that most of them reach.

    Checkpoints of a run share its seed and its shape, so that they are one piece of evidence and not several; one row
    a run keeps the clusters independent. Rows without a length, as failed ones, are kept.
    """
    lengths = [_length(row) for row in rows]
    level = levels([length for length in lengths if length is not None], SAME_LENGTH)
    places = [None if length is None else level[length] for length in lengths]
    numbered = dict(zip(map(id, rows), places, strict=True))
    runs = [{numbered[id(row)] for row in run} - {None} for run in group_by(rows, run_of).values()]
    if all(len(run) < 2 for run in runs):
        return list(rows)
    reached = Counter(place for run in runs for place in run if place is not None)
    measured = sum(1 for run in runs if run)
    wide = [place for place, count in reached.items() if count >= COMMON_SHARE * measured]
    common = max(wide) if wide else max(reached, key=lambda place: (reached[place], place))
    return [row for row, place in zip(rows, places, strict=True) if place in (None, common)]


def _length(row: Observation) -> float | None:
    values = (row.number_of(name) for name in LENGTHS)
    return next((value for value in values if value is not None and value > 0), None)
