"""One setting of a space, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.events import Value
from search.space.frame import Frame
from search.space.quantities import DecodeLatency, DecodeMemory
from search.space.rules import Columns
from search.space.shapes import Ints


@dataclass(frozen=True)
class Point:
    """One legal setting: ``values`` of the declared names and the solved one, ``attributes`` of the network.

    A parameter that does not exist at this point is absent from ``values``.
    """

    values: Mapping[str, Value]
    attributes: Mapping[str, Value]


def describe(frame: Frame, values: Mapping[str, Value], solved_ffn_width: Ints | None = None) -> Point:
    """A point with the attributes of its network; what ``values`` leaves out is fixed.

    Costs that constraints name and no trial measures are among them.
    """
    columns = one_row(frame, values)
    ffn_width = ffn_width_of(frame, columns, values) if solved_ffn_width is None else solved_ffn_width
    width, found = int(columns["width"][0]), int(ffn_width[0])
    quantities = frame.network.quantities
    predicted = (name for name, one in quantities.items() if isinstance(one, DecodeLatency | DecodeMemory))
    names = ("heads", "kv_heads", "total_parameters", *predicted)
    derived = frame.network.derive({**columns, "ffn_width": ffn_width}, names)
    attributes: dict[str, Value] = {
        "ffn_width": found,
        "ffn_ratio_asked": float(columns["ffn_ratio"][0]),
        "ffn_ratio_realised": found / width,
        **{name: derived[name][0].item() for name in names},
    }
    return Point(dict(values), attributes)


def one_row(frame: Frame, values: Mapping[str, Value]) -> dict[str, Any]:
    """Every parameter of one point, as columns of one row."""
    return {name: np.array([values.get(name, fixed)]) for name, fixed in frame.fixed.items()}


def ffn_width_of(frame: Frame, columns: Columns, values: Mapping[str, Value]) -> Ints:
    """The FFN width of one point; 0 where none meets the budget."""
    return frame.network.ffn_width(columns, np.array(["ffn_ratio" in values]))
