"""What those who train elsewhere ask and tell."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

LEASE_SECONDS = 3600
"""How long a trial is its client's without a word of it, unless the client says otherwise (assumed)."""
LONGEST_LEASE_SECONDS = 30 * 86_400
MOST_SUGGESTED = 1000
MOST_NAMES = 100
"""Metrics or attributes of one trial that are told (assumed)."""
LARGEST_WHOLE = 2**63

Metrics = Annotated[
    dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,99}$")], Annotated[float, Field(allow_inf_nan=False)]],
    Field(max_length=MOST_NAMES),
]
Whole = Annotated[StrictInt, Field(ge=-LARGEST_WHOLE, lt=LARGEST_WHOLE)]
Finite = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Attributes = Annotated[
    dict[
        Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,99}$")],
        StrictBool | Whole | Finite | Annotated[StrictStr, Field(max_length=1000)],
    ],
    Field(max_length=MOST_NAMES),
]
ClientId = Annotated[str, Field(min_length=1, max_length=200, pattern="^[ -~]+$")]
LeaseSeconds = Annotated[int, Field(ge=1, le=LONGEST_LEASE_SECONDS)]


class SuggestRequest(BaseModel):
    """Who asks for how many trials."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: ClientId
    """Any name; who asks again under the same one is given back the trials that it has not ended."""
    count: Annotated[int, Field(ge=1, le=MOST_SUGGESTED)] = 1
    lease_seconds: LeaseSeconds = LEASE_SECONDS
    """After so long without a report a trial may go to another client."""


class ReportRequest(BaseModel):
    """What a trial was worth at a step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: Annotated[int, Field(ge=0, lt=2**31)]
    values: Metrics
    client_id: ClientId | None = None
    """When given, the trial must still be this client's."""
    lease_seconds: LeaseSeconds = LEASE_SECONDS


class CompleteRequest(BaseModel):
    """What came of a trial: its metrics, or why it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metrics: Metrics | None = None
    attributes: Attributes = Field(default_factory=dict)
    failed: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    """Why the trial has no value; running it again would give the same."""
    client_id: ClientId | None = None
    """When given, the trial must still be this client's."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.metrics is None) == (self.failed is None):
            raise ValueError("either metrics or failed is needed; give one of them")
        return self
