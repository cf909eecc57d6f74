"""From the parts of a spec to the frame of its space and its legal combinations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import InvalidInput
from search.constraints import Constraints
from search.parameters import PARAMETER_NAMES, Choice, Parameter
from search.space.checks import check_ffn_width, check_inner_size, check_names, check_values
from search.space.combinations import Combinations
from search.space.conditions import Asked, Conditions
from search.space.frame import Frame
from search.space.groups import in_order, tie
from search.space.legal import Exclusion, Solving, Stage, enumerate_rows, legal_combinations
from search.space.rules import EvenHeads, Rule, WholeHeads, WholeSequences
from search.space.written import network_of
from trainer.config import ProxySettings


@dataclass(frozen=True)
class Enumerated:
    """What can be enumerated of a space, and what cannot."""

    groups: tuple[Combinations, ...]
    """The legal combinations of parameters that are tied together; the network's first."""
    checks: tuple[Rule, ...]
    """Rules that no combinations hold."""
    exclusions: tuple[Exclusion, ...]


def build_frame(
    space: Mapping[str, Parameter],
    inner: Mapping[str, Sequence[Choice]],
    constraints: Constraints,
    settings: ProxySettings,
    conditions: Asked,
) -> Frame:
    """Check the parts against each other, and join them.

    Raises:
        InvalidInput: a parameter is unknown, out of bounds or given twice, or a condition is not one.
    """
    network = network_of(space, constraints, settings)
    check_names(space, inner, network.budget)
    check_inner_size(inner)
    check_values(space, inner, settings)
    if network.budget is None:
        check_ffn_width(space, inner, settings)
    grids = {name: tuple(choices) for name, choices in inner.items()}
    frame = Frame(dict(space), grids, _fixed(settings), Conditions.build(conditions, space), network)
    _check_existence(frame)
    return frame


def _check_existence(frame: Frame) -> None:
    """Refuse a parameter whose conditions, and those of its parents, hold nowhere together."""
    for child in frame.conditions.allowed:
        above = frame.conditions.ancestors(child)
        ancestors = frame.conditions.ordered([name for name in frame.parameters if name in above])
        rows = enumerate_rows(ancestors, frame)
        indices = {name: rows[:, axis] for axis, name in enumerate(ancestors)}
        if not frame.conditions.exists(child, indices, len(rows)).any():
            reason = f"{child} exists nowhere: its conditions and those of its parents exclude each other"
            raise InvalidInput(f"conditions.{child}", reason, "relax one of them")


def enumerate_groups(frame: Frame, written: Sequence[Rule]) -> Enumerated:
    """Enumerate the legal combinations of parameters that are tied together.

    Raises:
        InfeasibleSpace: there are none, or too many.
    """
    network = EvenHeads() if frame.network.solved == "width" else WholeHeads()
    tied, checks = tie(frame, (network, WholeSequences()), written)
    found = [
        legal_combinations(in_order(group, frame), _stages(group.rules, frame, number == 0), frame)
        for number, group in enumerate(tied)
    ]
    return Enumerated(
        groups=tuple(combinations for combinations, _ in found),
        checks=tuple(checks),
        exclusions=tuple(exclusion for _, exclusions in found for exclusion in exclusions),
    )


def _fixed(settings: ProxySettings) -> dict[str, Any]:
    """What the settings say of each parameter: 0 for as many key and value heads as heads, NaN for what follows."""
    given = {name: getattr(settings, name) for name in sorted(PARAMETER_NAMES)}
    given["kv_heads"] = given["kv_heads"] or 0
    return {name: math.nan if value is None else value for name, value in given.items()}


def _stages(rules: Sequence[Rule], frame: Frame, is_network: bool) -> list[Stage]:
    """The rules in the order in which they can be checked: those that read a solution after the solving."""
    after = [rule for rule in rules if rule.field and any(map(frame.network.follows_from_solution, rule.names))]
    before = [rule for rule in rules if rule not in after]
    budget = frame.network.budget
    if budget is None or not is_network:
        return [*before, *after]
    text = f"{budget.quantity.name} is {budget.target:.6g} within {budget.tolerance:.3g}"
    return [*before, Solving(f"constraints.{budget.quantity.name}", text), *after]


def section(field_name: str, frame: Frame) -> str:
    """The field of an error, with the section in which a parameter stands."""
    if field_name not in PARAMETER_NAMES:
        return field_name
    for section, names in (("space", frame.parameters), ("inner", frame.inner)):
        if field_name in names:
            return f"{section}.{field_name}"
    return f"proxy.{field_name}"
