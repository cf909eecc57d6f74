"""Which combinations of tied parameters are legal, and what excludes the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from search.parameters import CategoricalParameter, Choice
from search.space.budget import Solutions
from search.space.combinations import Combinations, Rows
from search.space.conditions import INACTIVE
from search.space.errors import InfeasibleSpace
from search.space.frame import Frame
from search.space.rules import Columns, Rule
from search.space.shapes import Bools, Floats
from search.space.unreachable import budget_refusal

MAX_COMBINATIONS = 200_000
"""Most combinations enumerated for one group (assumed: a tenth of a second, a few megabytes)."""


@dataclass(frozen=True)
class Exclusion:
    """What one constraint leaves out."""

    field: str
    """Where it stands in the spec; empty for what every network needs."""
    text: str
    share: float
    """Probability, under the declared distribution, of what it removes from what those before it left."""
    values: Mapping[str, tuple[Choice, ...]]
    """Declared values that no point holds any more because of it."""


@dataclass(frozen=True)
class Solving:
    """The stage at which the budget is solved."""

    field: str
    text: str


@dataclass(frozen=True, eq=False)
class Table:
    """Combinations that are still legal, and the networks that each of them may become."""

    frame: Frame
    names: tuple[str, ...]
    values: tuple[tuple[Choice, ...], ...]
    rows: Rows
    weight: Floats
    solutions: Solutions | None = None

    @classmethod
    def full(cls, names: Sequence[str], frame: Frame) -> "Table":
        """Every combination, legal or not.

        Raises:
            InfeasibleSpace: there are too many.
        """
        ordered = frame.conditions.ordered(names)
        rows = enumerate_rows(ordered, frame)
        weight = np.ones(len(rows))
        for axis, name in enumerate(ordered):
            likely = np.asarray(frame.parameters[name].weights())
            weight *= np.where(rows[:, axis] == INACTIVE, 1.0, (likely / likely.sum())[rows[:, axis]])
        return cls(frame, ordered, tuple(frame.parameters[name].values() for name in ordered), rows, weight)

    def columns(self) -> Columns:
        """Values of each candidate: one for each row, or for each solution once there are some."""
        columns = {}
        for axis, (name, values) in enumerate(zip(self.names, self.values, strict=True)):
            index = self.rows[:, axis]
            column = np.asarray(values)[index]
            missing = index == INACTIVE
            columns[name] = np.where(missing, self.frame.fixed[name], column) if missing.any() else column
        if self.solutions is None:
            return columns
        found = self.solutions
        solved = {str(self.frame.network.solved): found.value, "ffn_width": found.ffn_width}
        return {**{name: column[found.row] for name, column in columns.items()}, **solved}

    def allows(self, rule: Rule) -> Bools:
        """Which candidates satisfy a rule."""
        return self.frame.allows(rule, self.columns(), self.candidates)

    @property
    def candidates(self) -> int:
        """Number of candidates."""
        return len(self.rows) if self.solutions is None else len(self.solutions)

    def solved(self) -> "Table":
        """The same rows with the networks that meet the budget; rows that have none are gone."""
        columns = self._full_columns()
        solutions = self.frame.network.solutions(columns, self._in_range())
        return replace(self, solutions=solutions)._without_empty_rows()

    def budget_refusal(self) -> InfeasibleSpace:
        """Why no row meets the budget."""
        network, columns = self.frame.network, self._full_columns()
        assert network.budget is not None
        low, high = network.ratio_bounds(columns["ffn_ratio"].astype(np.float64), self._in_range())
        return budget_refusal(network.budget, network.shapes(columns), low, high)

    def kept(self, legal: Bools) -> "Table":
        """The candidates that are legal, and the rows that have one."""
        if self.solutions is None:
            return replace(self, rows=self.rows[legal], weight=self.weight[legal])
        return replace(self, solutions=self.solutions[legal])._without_empty_rows()

    def only(self, rows: Bools) -> "Table":
        """Some rows, before anything is solved."""
        return replace(self, rows=self.rows[rows], weight=self.weight[rows])

    def _full_columns(self) -> Columns:
        columns = self.columns()
        fixed = {name: np.broadcast_to(value, (len(self.rows),)) for name, value in self.frame.fixed.items()}
        return {**fixed, **columns}

    def _in_range(self) -> Bools:
        indices = {name: self.rows[:, axis] for axis, name in enumerate(self.names)}
        return self.frame.conditions.exists("ffn_ratio", indices, len(self.rows))

    def _without_empty_rows(self) -> "Table":
        assert self.solutions is not None
        held, row = np.unique(self.solutions.row, return_inverse=True)
        solutions = replace(self.solutions, row=row.astype(np.int64))
        return replace(self, rows=self.rows[held], weight=self.weight[held], solutions=solutions)


Stage = Rule | Solving


def legal_combinations(
    names: Sequence[str], stages: Sequence[Stage], frame: Frame
) -> tuple[Combinations, tuple[Exclusion, ...]]:
    """The combinations of ``names`` that pass every stage, and what each stage left out.

    Raises:
        InfeasibleSpace: none does, a listed choice of a complete rule never occurs, or there are too many to enumerate.
    """
    full = table = Table.full(names, frame)
    exclusions = []
    for number, stage in enumerate(stages):
        before, table = table, _after(stage, table)
        if not len(table.rows):
            raise _explain(stages[: number + 1], full)
        if not isinstance(stage, Solving) and stage.complete:
            _check_complete(stage, before, table)
        exclusions.append(_exclusion(stage, before, table))
    found = Combinations.of(table.names, table.values, table.rows, table.weight, table.solutions)
    return found, tuple(exclusions)


def enumerate_rows(names: Sequence[str], frame: Frame) -> Rows:
    """Every combination in lexicographic order; what does not exist in a row has no values in it.

    Raises:
        InfeasibleSpace: there are more than :data:`MAX_COMBINATIONS`.
    """
    rows = np.zeros((1, 0), dtype=np.int32)
    for axis, name in enumerate(names):
        size = frame.parameters[name].size or 1
        exists = frame.conditions.exists(name, {names[given]: rows[:, given] for given in range(axis)}, len(rows))
        there = int(exists.sum())
        check_size(names, there * size + len(rows) - there)
        counts = np.where(exists, size, 1) if there else np.ones(len(rows), dtype=np.int64)
        parent = np.repeat(np.arange(len(rows)), counts)
        index = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
        column = np.where(exists[parent], index, INACTIVE).astype(np.int32)
        rows = np.hstack([rows[parent], column[:, None]])
    return rows


def check_size(names: Sequence[str], size: int) -> None:
    """Check that combinations can be enumerated.

    Raises:
        InfeasibleSpace: there are more than :data:`MAX_COMBINATIONS`.
    """
    if size > MAX_COMBINATIONS:
        raise InfeasibleSpace(
            "space",
            f"{' × '.join(names)} have {size} combinations or more, above {MAX_COMBINATIONS}",
            "give them a step or choices",
        )


def _after(stage: Stage, table: Table) -> Table:
    return table.solved() if isinstance(stage, Solving) else table.kept(table.allows(stage))


def _exclusion(stage: Stage, before: Table, after: Table) -> Exclusion:
    lost = {
        name: tuple(values[index] for index in _lost(before, after, axis))
        for axis, (name, values) in enumerate(zip(after.names, after.values, strict=True))
    }
    share = 1 - after.weight.sum() / before.weight.sum()
    return Exclusion(
        stage.field, stage.text, max(float(share), 0.0), {name: values for name, values in lost.items() if values}
    )


def _lost(before: Table, after: Table, axis: int) -> list[int]:
    """Which values of a parameter were in some row before, and are in none after."""
    return sorted(set(before.rows[:, axis].tolist()) - set(after.rows[:, axis].tolist()) - {INACTIVE})


def _check_complete(rule: Rule, before: Table, after: Table) -> None:
    for axis, name in enumerate(before.names):
        if not isinstance(before.frame.parameters[name], CategoricalParameter):
            continue
        for index in _lost(before, after, axis):
            table = before.only(before.rows[:, axis] == index)
            raise before.frame.refusal(rule, table.columns(), table.candidates)


def _explain(stages: Sequence[Stage], full: Table) -> InfeasibleSpace:
    """Why nothing passes the stages: the last one alone leaves nothing, or some of those before exclude it."""
    *earlier, last = stages
    solved = full
    if any(isinstance(stage, Solving) for stage in stages):
        solved = full.solved()
        if not len(solved.rows):
            return full.budget_refusal()
    legal = {id(stage): solved.allows(stage) for stage in stages if not isinstance(stage, Solving)}
    if not isinstance(last, Solving) and not legal[id(last)].any():
        return solved.frame.refusal(last, solved.columns(), solved.candidates)
    guilty = [stage for stage in earlier if not isinstance(stage, Solving)]
    for stage in list(guilty):
        others = [other for other in guilty if other is not stage]
        if not np.logical_and.reduce([legal[id(other)] for other in (*others, last) if id(other) in legal]).any():
            guilty = others
    return _contradiction(last, guilty)


def _contradiction(last: Stage, guilty: Sequence[Stage]) -> InfeasibleSpace:
    those = " and ".join(f"{stage.field} ({stage.text})" if stage.field else f"that {stage.text}" for stage in guilty)
    reason = f"no point satisfies {last.text} together with {those}"
    return InfeasibleSpace(last.field or "space", reason, "relax one of them")
