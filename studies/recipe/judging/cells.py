"""The trials of a study by what they share: runs that differ in learning rate and seed only, and their bowls."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from search.events import Value
from studies.formulas.fitting.profiles import Profile, profile_cells
from studies.formulas.observations import FitContext, Observation, Runs, collect_runs, group_by, parameter_key

RATE = "learning_rate"
LEFT_OUT = frozenset({RATE, "seed"})


@dataclass(frozen=True, slots=True)
class Cell:
    """Runs that differ in learning rate and seed only."""

    parameters: Mapping[str, Value]
    observations: tuple[Observation, ...]
    runs: Runs
    profile: Profile | None
    """The bowl over log rate, where enough rates were tried."""

    @property
    def best_rate(self) -> float | None:
        """The rate at the fitted minimum, if it lies inside the tried ones; else None."""
        return math.exp(self.profile.log_rate) if self.profile and self.profile.edge == "none" else None

    @property
    def cost(self) -> float | None:
        """The cost at the fitted minimum; else the lowest seen; None where no run ended well."""
        if self.profile is not None:
            return self.profile.cost
        return min(self.runs.costs, default=None)


@dataclass(frozen=True)
class Cells:
    """All cells of a study."""

    observations: Sequence[Observation]
    context: FitContext

    @cached_property
    def all(self) -> tuple[Cell, ...]:
        """The cells in the order of their first trials."""
        groups = list(group_by(self.observations, lambda row: parameter_key(row, LEFT_OUT)).values())
        runs = [collect_runs(rows, self.context) for rows in groups]
        profiles = profile_cells(runs)
        found = profiles.cells if profiles else [None] * len(runs)
        return tuple(
            Cell({name: value for name, value in rows[0].parameters.items() if name not in LEFT_OUT}, tuple(rows), *own)
            for rows, own in zip(groups, zip(runs, found, strict=True), strict=True)
        )

    @property
    def bracketed(self) -> list[Cell]:
        """The cells whose best rate lies inside the tried ones."""
        return [cell for cell in self.all if cell.best_rate is not None]
