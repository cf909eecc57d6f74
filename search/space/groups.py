"""Which parameters are tied together, and so are enumerated together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from search.space.errors import InfeasibleSpace
from search.space.frame import Frame
from search.space.legal import enumerate_rows
from search.space.rules import Rule


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that share rules; those of no other group depend on them."""

    names: frozenset[str]
    rules: tuple[Rule, ...] = field(default=())

    def joined(self, others: Iterable["Group"]) -> "Group":
        """One group of several."""
        groups = [self, *others]
        return Group(
            frozenset().union(*(group.names for group in groups)),
            tuple(rule for group in groups for rule in group.rules),
        )


def tie(frame: Frame, needed: Sequence[Rule], written: Sequence[Rule]) -> tuple[list[Group], list[Rule]]:
    """Group the parameters by what ties them, and name the rules that no group can hold.

    The first group is that of the network, whose rule is the first that is ``needed``. A rule that the user wrote is
    held by a group where all that it depends on can be enumerated; the others are checked point by point.
    """
    first, *others = needed
    network = Group(_countable(frame.ties(first), frame) | _budget_names(frame), (first,))
    groups = _merge(
        [network, *(Group(_countable(frame.ties(rule), frame), (rule,)) for rule in others), *_families(frame)]
    )
    unheld = []
    for rule in written:
        names = frame.ties(rule) & frame.parameters.keys()
        joined = _merge([*groups, Group(names, (rule,))], with_first=_belongs_to_network(rule, frame, names))
        if _countable(names, frame) == names and _is_enumerable(joined, rule, frame):
            groups = joined
        else:
            unheld.append(rule)
    return groups, unheld


def in_order(group: Group, frame: Frame) -> tuple[str, ...]:
    """The parameters of a group, as the spec orders them."""
    return tuple(name for name in frame.parameters if name in group.names)


def _budget_names(frame: Frame) -> frozenset[str]:
    """What the budget depends on; where the ratio is continuous, what decides whether it exists."""
    if frame.network.budget is None:
        return frozenset()
    return _countable(frame.network.budget_names, frame) | frame.conditions.ancestors("ffn_ratio")


def _families(frame: Frame) -> list[Group]:
    """Children with their parents; a continuous child is no member, but its parents are."""
    return [Group(_countable({child, *parents}, frame)) for child, parents in frame.conditions.allowed.items()]


def _countable(names: Iterable[str], frame: Frame) -> frozenset[str]:
    """Those of the names that the space varies in steps."""
    return frozenset(name for name in names if name in frame.parameters and frame.parameters[name].size is not None)


def _belongs_to_network(rule: Rule, frame: Frame, names: frozenset[str]) -> bool:
    return not names or any(map(frame.network.follows_from_solution, rule.names))


def _merge(groups: Sequence[Group], with_first: bool = False) -> list[Group]:
    """The same groups, those that share a parameter as one; ``with_first`` joins the last to the first as well."""
    *rest, last = groups
    merged: list[Group] = []
    for group in [*rest, last]:
        shares = [
            other
            for number, other in enumerate(merged)
            if other.names & group.names or (group is last and with_first and number == 0)
        ]
        if not shares:
            merged.append(group)
            continue
        merged[merged.index(shares[0])] = shares[0].joined([*shares[1:], group])
        merged = [other for other in merged if other not in shares[1:]]
    return merged


def _is_enumerable(groups: Sequence[Group], rule: Rule, frame: Frame) -> bool:
    group = next(group for group in groups if rule in group.rules)
    try:
        enumerate_rows(frame.conditions.ordered(in_order(group, frame)), frame)
    except InfeasibleSpace:
        return False
    return True
