"""Plain types of what is stored: no SQLAlchemy, no Ray, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from search.events import Value


class StudyState(StrEnum):
    """Life of a study."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class TrialState(StrEnum):
    """Life of a trial; a finished one is immutable."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"
    INFEASIBLE = "INFEASIBLE"


class AttemptState(StrEnum):
    """Life of one attempt at a trial; STALE means its worker was lost."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    STALE = "STALE"


class OperationState(StrEnum):
    """Life of a longer piece of work."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class CampaignState(StrEnum):
    """Life of a campaign; one that is FAILED or CANCELLED may be resumed."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class Role(StrEnum):
    """What a key allows: reading; reading and writing; that, the keys and the Ray dashboard."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


TRAIN_LOSS = "train_loss"
"""Name under which the training loss is stored by step: nats per token, some of the steps."""
ACTIVE_STUDY_STATES = frozenset({StudyState.QUEUED, StudyState.RUNNING, StudyState.PAUSED, StudyState.STOPPING})
TERMINAL_TRIAL_STATES = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.INFEASIBLE})


@dataclass(frozen=True, slots=True)
class Study:
    """A study as stored; ``spec`` is the validated document."""

    id: int
    owner: str
    name: str
    state: StudyState
    spec: Mapping[str, Any]
    revision: int
    job_id: str | None
    dashboard_url: str | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as stored, without its intermediate values."""

    number: int
    state: TrialState
    parameters: Mapping[str, Value]
    metrics: Mapping[str, float]
    attributes: Mapping[str, Value]
    reason: str | None
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    lost_workers: int = 0
    """Attempts that ended with their worker, while the driver lived."""
    client: str | None = None
    """Who trains it elsewhere."""


@dataclass(frozen=True, slots=True)
class IntermediateValue:
    """One metric at one step of a trial's latest attempt."""

    number: int
    step: int
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Operation:
    """Longer work that a worker executes."""

    id: int
    study_id: int
    kind: str
    state: OperationState
    request: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Export:
    """A written export; ``folder`` is relative to the storage root."""

    id: int
    study_id: int
    format: str
    state: OperationState
    operation_id: int
    request: Mapping[str, Any]
    folder: str | None
    created_at: datetime
    result: Mapping[str, Any] | None = None
    """What was written (``studies.exports.ExportManifest``), once its operation has succeeded."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A validation of a study's recipe as stored."""

    id: int
    study_id: int
    request: Mapping[str, Any]
    plan: Mapping[str, Any]
    rungs: tuple[int | None, ...]
    """The studies that train its sizes, ascending in size; None where one was deleted."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CampaignStudy:
    """A study of a campaign: the one of a stage, or of a rung of the ladder."""

    position: int
    """Stages have the positions from 0 in their order; after them come the rungs."""
    study_id: int | None
    """None where it was deleted."""
    outcome: Mapping[str, Any] | None
    """What came of a stage (``studies.campaigns.setting.Outcome``), once the campaign has gone on from it."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as stored; ``document`` is a checked ``studies.campaigns.document.CampaignDocument``."""

    id: int
    owner: str
    name: str
    state: CampaignState
    document: Mapping[str, Any]
    revision: int
    error: str | None
    studies: tuple[CampaignStudy, ...]
    """Those that were begun, by position; of a stage that was begun anew, the newest."""
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without the key itself."""

    id: int
    owner: str
    role: Role
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that lives."""

    id: str
    dashboard_url: str | None
    started_at: datetime
    seen_at: datetime
