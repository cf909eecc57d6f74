"""What the API answers, as OpenAPI shows it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from search.events import Value
from studies.formulas.formula import Formula
from studies.records import OperationState, Role, Study, StudyState, TrialState
from studies.spec import StudySpec


class _StudySpecSchema:
    """Documents a body as a spec, while ``studies.specs.parsing.parse_spec`` checks it: its messages name a remedy."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(StudySpec.__pydantic_core_schema__)


SpecDocument = Annotated[dict[str, Any], _StudySpecSchema]


class Response(BaseModel):
    """An answer, read from the attributes of a record."""

    model_config = ConfigDict(from_attributes=True)


class ProblemDetail(Response):
    """One offending field."""

    field: str
    """Dotted path, e.g. ``space.depth.low``."""
    pointer: str | None = None
    """JSON pointer into the body; left out for a query parameter."""
    detail: str
    remedy: str | None = None


class Problem(Response):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[ProblemDetail] = []


class Health(Response):
    """The process answers."""

    status: Literal["ok"] = "ok"


class StudyResponse(Response):
    """A study; ``spec`` is the document as validated, with its defaults filled in."""

    id: int
    name: str
    state: StudyState
    spec: Mapping[str, Any]
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class CreatedStudy(StudyResponse):
    """A study that was asked for."""

    warnings: list[str]
    """What is legal in the spec and may not be meant, e.g. values that no trial can have; a line each."""


class EnqueuedPointResponse(Response):
    """A point that waits to run; its trials have its position in their attribute ``enqueued_point``."""

    position: int
    values: Mapping[str, Value]


class EnqueuedPoints(Response):
    """Points in the order in which they run."""

    points: list[EnqueuedPointResponse]


class TrialResponse(Response):
    """A trial; ``metrics`` holds the standard names."""

    number: int
    state: TrialState
    parameters: Mapping[str, Value]
    metrics: Mapping[str, float]
    attributes: Mapping[str, Value]
    reason: str | None
    attempts: int
    client: str | None = None
    """Who trains it elsewhere; null where workers do."""
    started_at: datetime | None
    finished_at: datetime | None


class SuggestedTrials(Response):
    """Trials for a client; none where all others run or have ended."""

    trials: list[TrialResponse]
    study_state: StudyState
    """Once it is COMPLETED, CANCELLED or FAILED there is nothing to wait for."""


class AdviceResponse(Response):
    """Whether a trial is to go on; one that is stopped has ended as PRUNED."""

    stop: bool
    reason: str | None


class StudyPage(Response):
    """Studies, newest first."""

    studies: list[StudyResponse]
    next_page_token: str | None = Field(description="Give it as page_token to go on; null on the last page.")


class ValueResponse(Response):
    """A metric at one step of a trial's latest attempt."""

    number: int
    """Number of the trial."""
    step: int
    metric: str
    value: float


class TrialValues(Response):
    """What the latest attempt at a trial reported, in the order of its steps."""

    values: list[ValueResponse]


class TrialPage(Response):
    """Trials in the order of their numbers."""

    trials: list[TrialResponse]
    next_page_token: str | None = Field(description="Give it as page_token to go on; null on the last page.")


class LeaderResponse(Response):
    """A setting that was trained again on fresh seeds; the run by which it became a leader is not among them."""

    number: int
    """The trial by which it became a leader."""
    values: list[float]
    """The objective on each fresh seed whose run reached its end."""
    failed: int
    """Fresh seeds whose run ended without a value."""
    mean: float
    standard_deviation: float | None
    standard_error: float | None


class ComparisonResponse(Response):
    """By how much the winner's mean is better than the runner-up's, with an interval of level ``level``."""

    winner: int
    runner_up: int
    difference: float
    low: float
    high: float
    level: float
    beyond_noise: bool
    """Whether the whole interval lies above 0."""


class BestTrials(Response):
    """Trials, the best one by the first objective first; of several objectives, those on the Pareto front."""

    trials: list[TrialResponse]
    knee: int | None
    """Number of the trial at the knee of the front; null with one objective, and before the first complete trial."""
    front: int | None
    """How many trials are on the front; null with one objective."""
    leaders: list[LeaderResponse]
    """By their means on fresh seeds, best first; empty where none was trained again, and while the study goes on."""
    comparison: ComparisonResponse | None


class WatchedStudy(StudyResponse):
    """Event ``study``: the study as it is now; the last event of each round."""

    trial_counts: dict[TrialState, int]
    """Trials in each state that occurs."""

    @classmethod
    def of(cls, study: Study, trial_counts: Mapping[TrialState, int]) -> Self:
        """Join the two."""
        return cls(**StudyResponse.model_validate(study).model_dump(), trial_counts=dict(trial_counts))


class FormulaRevision(Response):
    """Event ``formulas``: the study's formulas can be read anew."""

    revision: int


class StudyEnd(Response):
    """Event ``end``: nothing will change any more, and the stream ends."""

    state: StudyState | Literal["DELETED"]


class StudySuggestion(Response):
    """A study whose trials would decide a formula."""

    formula: str
    """Id of the formula."""
    reasons: list[str]
    """What it lacks."""
    spec: dict[str, Any]
    """To be posted to ``/v1/studies``."""


class FormulaList(Response):
    """The newest revision of a study's formulas."""

    formulas: list[Formula]


class ExportResponse(Response):
    """An export; its archive can be read when ``state`` is SUCCEEDED."""

    id: int
    study_id: int
    format: str
    state: OperationState
    operation_id: int
    request: Mapping[str, Any]
    created_at: datetime
    result: Mapping[str, Any] | None = None
    """What was written: ``total_parameters``, ``files``, ``warnings``, ``differences`` and the ``smoke_test``."""


class ExportList(Response):
    """Exports of a study, newest first."""

    exports: list[ExportResponse]


class OperationResponse(Response):
    """Longer work; ``result`` is there when ``state`` is SUCCEEDED."""

    id: int
    study_id: int
    kind: str
    state: OperationState
    request: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class WorkerResponse(Response):
    """A worker that lives; ``seen_at`` is its last sign of life."""

    id: str
    dashboard_url: str | None
    started_at: datetime
    seen_at: datetime


class WorkerList(Response):
    """Workers that live, the longest running first."""

    workers: list[WorkerResponse]


class Figure(Response):
    """A figure for plotly.js; colours of ground, text and grid are left to whoever shows it."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]


class KeyResponse(Response):
    """An API key without the key itself; ``prefix`` is how it starts."""

    id: int
    owner: str
    role: Role
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class CreatedKey(KeyResponse):
    """A key that was made; ``key`` is shown here and never again."""

    key: str


class KeyPage(Response):
    """Keys of all owners, newest first."""

    keys: list[KeyResponse]
    next_page_token: str | None = Field(description="Give it as page_token to go on; null on the last page.")
