"""Which trials can be trained as one program: those of one outer point that differ in nothing that shapes it."""

from collections.abc import Hashable, Mapping

from search.events import Value
from trainer.stacks import STACKABLE_NAMES


def program_key(inner_point: Mapping[str, Value]) -> Hashable:
    """What the inner points of one program have in common.

    muP (arXiv 2203.03466) is part of the network, not of its initial weights alone: it does not mix with other schemes.
    """
    shaping = {name: value for name, value in inner_point.items() if name not in STACKABLE_NAMES}
    return tuple(sorted(shaping.items())), inner_point.get("init_scheme") == "mup"
