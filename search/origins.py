"""Where a trial's point comes from, as its attributes say."""

from typing import Literal

Origin = Literal["design", "start", "enqueued", "replicate"]
"""``design``: the sampler's; ``start``: of the spec's ``start.points``; ``enqueued``: asked for by a user;
``replicate``: a leader, trained again on a fresh seed."""

CHOSEN: frozenset[Origin] = frozenset({"start", "enqueued", "replicate"})
"""Origins of points that are no part of a declared design."""

ORIGIN = "origin"
"""Attribute with a trial's :data:`Origin`; a trial without it is of the design."""
DESIGN_INDEX = "design_index"
"""Attribute with the index under which the sampler was asked for the point."""
START_POINT = "start_point"
"""Attribute with the index in ``start.points``."""
ENQUEUED_POINT = "enqueued_point"
"""Attribute with the position among the study's enqueued points."""
REPLICATE_OF = "replicate_of"
"""Attribute with the number of the leader."""
REPLICATE = "replicate"
"""Attribute with the index in the block of replicates."""

ORIGIN_ATTRIBUTES = frozenset({ORIGIN, DESIGN_INDEX, START_POINT, ENQUEUED_POINT, REPLICATE_OF, REPLICATE})
