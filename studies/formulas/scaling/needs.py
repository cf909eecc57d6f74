"""Whether the data reach far enough in size and length, and the runs that are missing where they do not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.formulas.observations import Observation
from studies.formulas.scaling.cells import MIN_PROFILED, Table
from studies.formulas.scaling.forms import Floats

MIN_SIZES, MIN_LENGTHS = 5, 4
"""Distinct sizes and lengths below which nothing is fitted: one more than the three numbers that each of them tells
together, E, A and alpha or E, B and beta, and a spare degree of freedom for the variance between sizes (derived)."""
MIN_CELLS = 9
"""Five parameters and four residual degrees of freedom (assumed)."""
MIN_SPAN = 16.0
"""Largest over smallest size, and length, from which exponents are determined (measured by simulation: 8 sizes x 6
lengths, noise and jitter of 0.3 % of the loss give intervals of the exponent of the best size of ±0.18 at a span of 8,
±0.10 at 16, ±0.07 at 30, ±0.04 at 64; the claim's region is ±0.10 wide)."""
MIN_CROSS_SPAN = 4.0
"""Factor by which lengths must differ at one size, or after a line in the log of size is taken off (assumed)."""
WANTED_SPAN, WANTED_SIZES, WANTED_LENGTHS = 32.0, 8, 6
"""What is asked for where something is missing: twice the least span."""
SAME = 0.1
"""Logs closer than this are one level (assumed)."""
RATES = 4
"""Rates in an offered spec, factors of 2 apart (assumed: three for a bowl and a spare)."""
MIDDLE_RATE = 0.003
DEFAULT_SHARE = 1 / 48
"""Square of the width over parameters where no run tells it: four blocks of 12 width² (derived: the default depth)."""
HEAD = 32
"""Widths of an offered spec are multiples of it: the default head dimension."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What is missing, in words, and as changes to the study's spec."""

    fatal: tuple[str, ...]
    """Why nothing can be fitted."""
    obstacles: tuple[str, ...]
    """Why what is fitted determines nothing."""
    supply: dict[str, Any] | None

    @property
    def reasons(self) -> tuple[str, ...]:
        """All of them."""
        return self.fatal + self.obstacles


def needs(observations: Sequence[Observation], table: Table) -> Needs:
    """Compare the data with what a law needs."""
    sizes, lengths = (np.array([getattr(cell, name) for cell in table.cells]) for name in ("size", "length"))
    fatal = [
        _levels_reason(table.size_name, sizes, MIN_SIZES, WANTED_SIZES),
        _levels_reason(table.length_name, lengths, MIN_LENGTHS, WANTED_LENGTHS),
    ]
    few, short = fatal[0] is not None, fatal[1] is not None
    tied = not (few or short) and _cross_span(sizes, lengths) < MIN_CROSS_SPAN
    if not (few or short) and (tied or len(sizes) < MIN_CELLS):
        fatal.append(_crossed_reason(table))
    obstacles = [
        few_span
        for name, values, levels in (
            (table.size_name, sizes, WANTED_SIZES),
            (table.length_name, lengths, WANTED_LENGTHS),
        )
        if (few_span := _span_reason(name, values, levels)) is not None
    ]
    narrow = [_span(values) < MIN_SPAN for values in (sizes, lengths)]
    rates = _rates_reason(table)
    obstacles += [rates] if rates else []
    obstacles += [_VOCABULARIES] if table.incomparable else []
    patch = _supply(observations, table, few or narrow[0], short or narrow[1] or tied, rates is not None)
    return Needs(tuple(reason for reason in fatal if reason), tuple(obstacles), patch)


_VOCABULARIES = (
    "nats a token are not comparable between vocabularies: take bits_per_byte as the objective, or one vocabulary"
)


def levels(values: Floats) -> int:
    """Number of values that differ by more than rounding."""
    return len(set(np.round(np.log(values) / SAME).tolist())) if len(values) else 0


def _span(values: Floats) -> float:
    return float(values.max() / values.min()) if len(values) else 1.0


def _cross_span(sizes: Floats, lengths: Floats) -> float:
    """Span of lengths after a line in the log of size is taken off."""
    x, y = np.log(sizes), np.log(lengths)
    centred = x - x.mean()
    rest = y - centred * float(centred @ y / (centred @ centred))
    return math.exp(float(np.ptp(rest)))


def _grid(values: Floats, count: int) -> list[float]:
    """``count`` levels over the wanted span about the middle of the values, or over their own, if larger."""
    span = max(_span(values), WANTED_SPAN)
    middle = math.sqrt(float(values.max()) * float(values.min()))
    return [middle * span ** (place / (count - 1) - 0.5) for place in range(count)]


def _levels_reason(name: str, values: Floats, least: int, wanted: int) -> str | None:
    found = levels(values)
    if found >= least:
        return None
    if not found:
        return f"no finished run reports its loss, size and {name}: report {name} with each run"
    at = ", ".join(f"{value:.2g}" for value in _grid(values, wanted))
    return f"{found} values of {name} cannot tell its exponent and the floor: at least {least} are needed, e.g. {at}"


def _span_reason(name: str, values: Floats, wanted: int) -> str | None:
    if not len(values) or _span(values) >= MIN_SPAN:
        return None
    grid = _grid(values, wanted)
    present = np.log(values)
    missing = [value for value in grid if np.abs(present - math.log(value)).min() > SAME]
    at = ", ".join(f"{value:.2g}" for value in missing)
    return (
        f"{name} spans a factor of {_span(values):.3g} and {MIN_SPAN:g} is needed: add runs at {at} "
        f"({len(missing)} further runs for each value of the other, each at several learning rates)"
    )


def _crossed_reason(table: Table) -> str:
    wanted = WANTED_SIZES * WANTED_LENGTHS
    return (
        f"{len(table.cells)} pairs of size and length, or lengths that follow from the size, cannot tell alpha from "
        f"beta: train each of {MIN_SIZES} sizes or more at {MIN_LENGTHS} lengths or more that differ by a factor of "
        f"{MIN_CROSS_SPAN:g} at least ({MIN_SIZES * MIN_LENGTHS} to {wanted} pairs)"
    )


def _rates_reason(table: Table) -> str | None:
    profiled = sum(cell.profiled for cell in table.cells)
    if not table.rates_vary or profiled >= MIN_PROFILED * len(table.cells):
        return None
    return (
        f"learning rates differ between runs, and {len(table.cells) - profiled} of {len(table.cells)} pairs of size "
        "and length have fewer than three usable ones, so that the rate is compared along with size and length: "
        f"train each pair at {RATES} rates, factors of 2 apart ({RATES * len(table.cells)} trials)"
    )


def _supply(
    observations: Sequence[Observation], table: Table, sizes: bool, lengths: bool, rates: bool
) -> dict[str, Any] | None:
    """A spec of what is missing: further sizes at one more length; a study has one length, so that several are fitted
    together.
    """
    if not (sizes or lengths or rates) or not table.cells:
        return None
    patch: dict[str, Any] = {}
    if lengths:
        values = np.array([cell.length for cell in table.cells])
        grid = _grid(values, WANTED_LENGTHS)
        gaps = [float(np.abs(np.log(values) - math.log(value)).min()) for value in grid]
        other = dict.fromkeys(("train_tokens", "train_bytes", "train_flops"))
        patch["proxy"] = {**other, table.length_name: round(grid[int(np.argmax(gaps))])}
    if sizes:
        patch |= _more_sizes(observations, table)
    if rates or sizes:
        tried = [rate for row in observations if (rate := row.number_of("learning_rate") or 0) > 0]
        middle = math.exp(math.fsum(map(math.log, tried)) / len(tried)) if tried else MIDDLE_RATE
        patch["inner"] = {"learning_rate": [float(f"{middle * 2 ** (step - 1.5):.2g}") for step in range(RATES)]}
    if sizes:
        patch["max_trial_count"] = RATES * len(patch["space"]["width"]["choices"])
    return patch


def _more_sizes(observations: Sequence[Observation], table: Table) -> dict[str, Any]:
    """Widths that reach the wanted sizes, since parameters grow about with the square of the width."""
    pairs = [(row.number_of("width"), row.number_of(table.size_name)) for row in observations]
    known = [width**2 / size for width, size in pairs if width and size]
    share = math.exp(math.fsum(map(math.log, known)) / len(known)) if known else DEFAULT_SHARE
    grid = _grid(np.array([cell.size for cell in table.cells]), WANTED_SIZES)
    widths = sorted({max(round(math.sqrt(share * size) / HEAD), 1) * HEAD for size in grid})
    varied = {name for row in observations for name in row.parameters} - {"learning_rate", "seed", "width"}
    space: dict[str, Any] = dict.fromkeys(sorted(varied))
    budgets = dict.fromkeys(("total_parameters", "non_embedding_parameters"))
    return {"space": {**space, "width": {"type": "categorical", "choices": widths}}, "constraints": budgets}
