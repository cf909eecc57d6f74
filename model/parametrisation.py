"""How deviations, learning rates and decay follow the width: the standard parametrisation and muP.

muP is that of arXiv 2203.03466, table 8, whose tables have the same deviation and rate on both ends, so that a head
may be tied. With m = width / base width, relative to the network of the base width:

=========  ===================  =====================  ====================  =============
role       deviation            Adam's learning rate   decoupled decay       multiplier
=========  ===================  =====================  ====================  =============
vector     does not depend      1                      none                  1
table      1                    1                      1                     1 / m (head)
matrix     1 / √m               1 / m                  m                     1
=========  ===================  =====================  ====================  =============

AdamW's decay is its rate times its coefficient; m keeps their product, the share of a weight that a step takes away.
Under the standard parametrisation m is 1.
"""

from dataclasses import dataclass
from typing import Literal

from model.config import ArchitectureConfig

Role = Literal["vector", "table", "matrix"]
TABLES = ("embedding.weight", "head.weight")


@dataclass(frozen=True, slots=True)
class Scales:
    """Factors on what the config says of deviation, learning rate and decay."""

    std: float
    rate: float
    decay: float


def role(name: str) -> Role:
    """Role of a parameter of ``model.transformer.Transformer`` by its name.

    A matrix has two sides that grow with the width, a table (embedding and head) one. Vectors are multiplied with or
    added to channels one by one: norm gains, and the scales and shifts of the series activation, whatever their shape.
    """
    if not name.endswith(".weight"):
        return "vector"
    return "table" if name in TABLES else "matrix"


def scales(name: str, config: ArchitectureConfig) -> Scales:
    """Factors of one parameter in a network of this shape."""
    kind, multiplier = role(name), config.width_multiplier
    if kind == "matrix":
        return Scales(std=multiplier**-0.5, rate=1 / multiplier, decay=multiplier)
    return Scales(std=1.0, rate=1.0, decay=0.0 if kind == "vector" else 1.0)
