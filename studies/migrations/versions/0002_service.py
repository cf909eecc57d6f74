"""What the service needs: keys, browser sessions, answers, workers, jobs of studies, and revisions to watch by."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = ("api_keys", "login_codes", "web_sessions", "idempotent_answers", "workers")
STUDY_COLUMNS = ("revision", "job_id", "dashboard_url", "fruitless_runs", "finished_at_submission", "not_before")


def upgrade() -> None:
    """Add the columns and create the tables."""
    _add_columns()
    _create_keys()
    _create_answers_and_workers()


def downgrade() -> None:
    """Drop what was added."""
    for table in reversed(TABLES):
        op.drop_table(table)
    for table in ("trials", "intermediate_values"):
        op.drop_index(f"ix_{table}_study_id_revision", table)
        op.drop_column(table, "revision")
    op.drop_column("trials", "lost_workers")
    op.drop_index("ix_studies_state", "studies")
    for column in STUDY_COLUMNS:
        op.drop_column("studies", column)


def _time(name: str, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _add_columns() -> None:
    for table in ("trials", "intermediate_values"):
        op.add_column(table, _count("revision"))
        op.create_index(f"ix_{table}_study_id_revision", table, ["study_id", "revision"])
    op.add_column("trials", _count("lost_workers"))
    for name in ("revision", "fruitless_runs"):
        op.add_column("studies", _count(name))
    op.add_column("studies", sa.Column("finished_at_submission", sa.Integer()))
    op.create_index("ix_studies_state", "studies", ["state"])
    op.add_column("studies", sa.Column("job_id", sa.String(100)))
    op.add_column("studies", sa.Column("dashboard_url", sa.String(400)))
    op.add_column("studies", _time("not_before", nullable=True))


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        _time("created_at"),
        _time("last_used_at", nullable=True),
        _time("revoked_at", nullable=True),
        sa.ForeignKeyConstraint(["owner"], ["owners.name"], name="fk_api_keys_owner_owners"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
        sqlite_autoincrement=True,
    )
    _create_key_holder("login_codes", _time("expires_at"))
    _create_key_holder("web_sessions", _time("created_at"), _time("expires_at"))


def _create_key_holder(table: str, *times: sa.Column[datetime]) -> None:
    op.create_table(
        table,
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        *times,
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=f"fk_{table}_key_id_api_keys", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=f"pk_{table}"),
    )


def _create_answers_and_workers() -> None:
    op.create_table(
        "idempotent_answers",
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("media_type", sa.String(100)),
        sa.Column("body", sa.LargeBinary()),
        _time("created_at"),
        sa.ForeignKeyConstraint(["owner"], ["owners.name"], name="fk_idempotent_answers_owner_owners"),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_idempotent_answers"),
    )
    op.create_index("ix_idempotent_answers_created_at", "idempotent_answers", ["created_at"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(400), nullable=False),
        sa.Column("dashboard_url", sa.String(400)),
        _time("started_at"),
        _time("seen_at"),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )
