"""What the API answers about the space of a study."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Self

from api.schemas import Response
from search.constraints import Constraints
from search.events import Value
from search.parameters import Choice, Parameter
from search.space.summary import SpaceSummary
from studies.spec import StudySpec
from studies.specs.cost import Cost


class RangeResponse(Response):
    """Smallest and largest value."""

    low: float
    high: float


class PointResponse(Response):
    """A point as the trial that it would be; ``attributes`` follow from its values."""

    values: Mapping[str, Value]
    attributes: Mapping[str, Value]


class ExclusionResponse(Response):
    """What one constraint leaves out."""

    field: str
    """Where it stands in the spec; empty for what every network needs."""
    text: str
    share: float
    """Share of the declared distribution that it removes from what those before it left."""
    values: Mapping[str, tuple[Value, ...]]
    """Declared values that no point holds any more because of it."""


class CostResponse(Response):
    """What the trials cost, estimated; evaluations are not counted."""

    trials: int
    tokens_per_trial: RangeResponse
    flops_per_trial: RangeResponse
    total_flops: float
    device_seconds: float | None
    """Training time of all trials one after the other, at the speed of complete trials; null where there are none."""
    assumptions: tuple[str, ...]


class SpaceResponse(Response):
    """What a study chooses from."""

    parameters: Mapping[str, Parameter]
    """What the sampler varies."""
    inner: Mapping[str, tuple[Choice, ...]]
    """Grids at which every outer point is trained."""
    conditions: Mapping[str, Mapping[str, tuple[Choice, ...]]]
    """Which parameters exist only at some values of others: child, parent, those values."""
    constraints: Constraints
    max_trial_count: int
    points: int | None
    """Outer points; null when they are a continuum."""
    shapes: int
    """Legal combinations of the parameters that a network depends on, continuous ones aside."""
    inner_points: int
    acceptance: float
    """Share of drawn points that satisfy the constraints; 1 where every point is made to satisfy them."""
    acceptance_draws: int
    """Draws from which ``acceptance`` is estimated; 0 where it is exact."""
    excluded: Mapping[str, tuple[Value, ...]]
    """Declared values that no legal point holds."""
    exclusions: tuple[ExclusionResponse, ...]
    """What excludes the rest: each constraint, in the order in which they are applied."""
    solved: Mapping[str, RangeResponse]
    """What follows from the declared parameters: what a budget is solved for, and the network's attributes."""
    looked_at: int
    """Points from which ``solved`` is known: all of a small space, else evenly spread ones."""
    examples: tuple[PointResponse, ...]
    cost: CostResponse

    @classmethod
    def of(cls, spec: StudySpec, summary: SpaceSummary, cost: Cost) -> Self:
        """Join what was asked and what follows from it."""
        asked = {name: getattr(spec, name) for name in ("inner", "conditions", "constraints", "max_trial_count")}
        return cls.model_validate({"parameters": spec.space, **asked, **asdict(summary), "cost": asdict(cost)})
