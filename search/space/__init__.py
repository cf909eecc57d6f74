"""The search space: its parameters, what ties them together, and the points that satisfy it."""

from search.space.parts import part_of
from search.space.point import Point
from search.space.space import Space

__all__ = ["Point", "Space", "part_of"]
