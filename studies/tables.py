"""The tables, the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Dialect,
    Double,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from studies.records import AttemptState, CampaignState, OperationState, Role, StudyState, TrialState

REVISION = "0006"
"""The newest migration, which makes these tables."""


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware time, kept in UTC; SQLite stores it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC.

        Raises:
            ValueError: ``value`` has no timezone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no timezone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _word(kind: type[StrEnum]) -> Enum:
    return Enum(kind, native_enum=False, length=16)


class Base(DeclarativeBase):
    """Common ground of the tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it as declared)
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        float: Double(),
        StudyState: _word(StudyState),
        TrialState: _word(TrialState),
        AttemptState: _word(AttemptState),
        OperationState: _word(OperationState),
        CampaignState: _word(CampaignState),
        Role: _word(Role),
        bytes: LargeBinary(),
    }


class Leased:
    """Columns of a row that one process at a time may work on."""

    lease_holder: Mapped[str | None] = mapped_column(String(400))
    lease_expires_at: Mapped[datetime | None]
    lease_token: Mapped[int] = mapped_column(default=0)
    """The fencing token: grows by one at every claim, so that an earlier holder can be told from the present one."""


class OwnerRow(Base):
    """Whom rows belong to."""

    __tablename__ = "owners"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    created_at: Mapped[datetime]


class StudyRow(Leased, Base):
    """A study and its spec."""

    __tablename__ = "studies"
    __table_args__ = (Index(None, "owner", "digest"), Index(None, "state"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("owners.name"))
    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[StudyState]
    spec: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the canonical JSON of ``spec``."""
    revision: Mapped[int] = mapped_column(server_default="0", default=0)
    """Grows by one with every transaction that changes what a watcher sees of the study or its trials."""
    job_id: Mapped[str | None] = mapped_column(String(100))
    """Submission id of the newest Ray Job that was to drive the study."""
    dashboard_url: Mapped[str | None] = mapped_column(String(400))
    """Ray dashboard that lists the job."""
    fruitless_runs: Mapped[int] = mapped_column(server_default="0", default=0)
    """Jobs in a row that ended without a further finished trial."""
    finished_at_submission: Mapped[int | None]
    """Trials that had ended when the newest job was submitted; none when no job is left to be judged by it."""
    not_before: Mapped[datetime | None]
    """Earliest time of the next job, on the database's clock."""
    error: Mapped[str | None] = mapped_column(Text)
    external: Mapped[bool] = mapped_column(Boolean, server_default=false(), default=False)
    """Whether others train its trials: no worker drives it."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class TrialRow(Base):
    """A trial; its key is (study, number), so that a number exists once."""

    __tablename__ = "trials"
    __table_args__ = (Index(None, "study_id", "revision"), {"sqlite_with_rowid": False})

    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[TrialState]
    parameters: Mapped[dict[str, Any]]
    attributes: Mapped[dict[str, Any]]
    reason: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    lost_workers: Mapped[int] = mapped_column(server_default="0", default=0)
    """Attempts that ended with their worker, while the driver lived."""
    revision: Mapped[int] = mapped_column(server_default="0", default=0)
    """The study's revision at the trial's last change."""
    client: Mapped[str | None] = mapped_column(String(200))
    """Who trains it elsewhere, by the name that they gave."""
    due_at: Mapped[datetime | None]
    """When it may go to another client, on the database's clock."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class EnqueuedPointRow(Base):
    """An outer point that a user asked for; which trials it became, their attributes say."""

    __tablename__ = "enqueued_points"
    __table_args__ = ({"sqlite_with_rowid": False},)

    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    point: Mapped[dict[str, Any]]
    may_repeat: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime]


def _trial_key(table: str) -> ForeignKeyConstraint:
    """Tie a row to its trial, under a name that PostgreSQL does not cut."""
    return ForeignKeyConstraint(
        ["study_id", "number"], ["trials.study_id", "trials.number"], ondelete="CASCADE", name=f"fk_{table}_trials"
    )


class AttemptRow(Base):
    """One attempt at a trial, numbered from 1."""

    __tablename__ = "attempts"
    __table_args__ = (_trial_key("attempts"), {"sqlite_with_rowid": False})

    study_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[AttemptState]
    reason: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class MetricRow(Base):
    """A final metric of a trial, sortable in SQL."""

    __tablename__ = "trial_metrics"
    __table_args__ = (
        _trial_key("trial_metrics"),
        Index(None, "study_id", "name", "value"),
        {"sqlite_with_rowid": False},
    )

    study_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[float]


class IntermediateValueRow(Base):
    """A metric at one step of a trial's latest attempt."""

    __tablename__ = "intermediate_values"
    __table_args__ = (
        _trial_key("intermediate_values"),
        Index(None, "study_id", "revision"),
        {"sqlite_with_rowid": False},
    )

    study_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    metric: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[float]
    revision: Mapped[int] = mapped_column(server_default="0", default=0)
    """The study's revision when the value was written."""


class FormulaRow(Base):
    """A fitted formula; a fit stores all of its formulas under one revision."""

    __tablename__ = "formulas"
    __table_args__ = (Index(None, "study_id", "revision"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    revision: Mapped[int]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class OperationRow(Leased, Base):
    """Longer work that a worker executes."""

    __tablename__ = "operations"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    state: Mapped[OperationState]
    request: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ExportRow(Base):
    """An export; its state is that of its operation."""

    __tablename__ = "exports"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    operation_id: Mapped[int] = mapped_column(ForeignKey("operations.id", ondelete="CASCADE"), unique=True)
    format: Mapped[str] = mapped_column(String(40))
    request: Mapped[dict[str, Any]]
    folder: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]


class ValidationRow(Base):
    """A validation of a study's recipe; what it trains are its rungs."""

    __tablename__ = "validations"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), index=True)
    request: Mapped[dict[str, Any]]
    plan: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class ValidationRungRow(Base):
    """One size of a validation: the study that trains it, until somebody deletes that study."""

    __tablename__ = "validation_rungs"
    __table_args__ = ({"sqlite_with_rowid": False},)

    validation_id: Mapped[int] = mapped_column(ForeignKey("validations.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    study_id: Mapped[int | None] = mapped_column(ForeignKey("studies.id", ondelete="SET NULL"), index=True)


class CampaignRow(Base):
    """A campaign; what it trains are its studies."""

    __tablename__ = "campaigns"
    __table_args__ = (Index(None, "owner", "digest"), Index(None, "state"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("owners.name"))
    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[CampaignState]
    document: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the canonical JSON of ``document``."""
    revision: Mapped[int] = mapped_column(server_default="0", default=0)
    """Grows by one with every change of the row or of its studies: a step that was prepared before is void."""
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class CampaignStudyRow(Base):
    """The study of a stage or a rung, until somebody deletes it; its key is what makes it one."""

    __tablename__ = "campaign_studies"
    __table_args__ = ({"sqlite_with_rowid": False},)

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    study_id: Mapped[int | None] = mapped_column(ForeignKey("studies.id", ondelete="SET NULL"), index=True)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What came of a stage, once the campaign has gone on from it."""


class KeyRow(Base):
    """An API key; only its digest is kept."""

    __tablename__ = "api_keys"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("owners.name"))
    role: Mapped[Role]
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16))
    """First characters, by which people tell keys apart."""
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the key, which is 256 random bits: nothing slower is needed."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class LoginCodeRow(Base):
    """A code that opens one web session, once; only its digest is kept."""

    __tablename__ = "login_codes"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[int] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]


class WebSessionRow(Base):
    """A browser that is logged in with a key; only the digest of its cookie is kept."""

    __tablename__ = "web_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[int] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class AnswerRow(Base):
    """What a POST with an Idempotency-Key was answered, stored with its effect."""

    __tablename__ = "idempotent_answers"

    owner: Mapped[str] = mapped_column(ForeignKey("owners.name"), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of method, path, query and body."""
    status: Mapped[int]
    media_type: Mapped[str | None] = mapped_column(String(100))
    body: Mapped[bytes | None]
    """None when it was too long to be kept, or secret."""
    created_at: Mapped[datetime] = mapped_column(index=True)


class WorkerRow(Base):
    """A worker, as long as it says that it lives."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(400), primary_key=True)
    """Its process (studies.process_identity)."""
    dashboard_url: Mapped[str | None] = mapped_column(String(400))
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    """Its last sign of life, on the database's clock."""


def table_of(row: type[Base]) -> Table:
    """The table itself: statements on it are cheaper than on its class, bulk inserts by half (measured)."""
    return Base.metadata.tables[row.__tablename__]
