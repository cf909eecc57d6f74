"""The first schema: owners, studies, trials with their values, formulas, operations and exports."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "owners",
    "studies",
    "trials",
    "attempts",
    "trial_metrics",
    "intermediate_values",
    "formulas",
    "operations",
    "exports",
)


def upgrade() -> None:
    """Create the tables, those referred to first."""
    _create_studies()
    _create_trials()
    _create_trial_values()
    _create_formulas()
    _create_operations()


def downgrade() -> None:
    """Drop the tables."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _time(name: str, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)


def _lease() -> tuple[sa.Column[str], sa.Column[datetime], sa.Column[int]]:
    return (
        sa.Column("lease_holder", sa.String(400)),
        _time("lease_expires_at"),
        sa.Column("lease_token", sa.Integer(), nullable=False),
    )


def _belongs_to_study(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["study_id"], ["studies.id"], name=f"fk_{table}_study_id_studies", ondelete="CASCADE"
    )


def _belongs_to_trial(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["study_id", "number"], ["trials.study_id", "trials.number"], name=f"fk_{table}_trials", ondelete="CASCADE"
    )


def _create_studies() -> None:
    op.create_table(
        "owners",
        sa.Column("name", sa.String(200), nullable=False),
        _time("created_at", nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_owners"),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("error", sa.Text()),
        _time("created_at", nullable=False),
        _time("started_at"),
        _time("finished_at"),
        *_lease(),
        sa.ForeignKeyConstraint(["owner"], ["owners.name"], name="fk_studies_owner_owners"),
        sa.PrimaryKeyConstraint("id", name="pk_studies"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_studies_owner_digest", "studies", ["owner", "digest"])


def _create_trials() -> None:
    op.create_table(
        "trials",
        _key("study_id"),
        _key("number"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        _time("started_at"),
        _time("finished_at"),
        _belongs_to_study("trials"),
        sa.PrimaryKeyConstraint("study_id", "number", name="pk_trials"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "attempts",
        _key("study_id"),
        _key("number"),
        _key("attempt"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        _time("started_at", nullable=False),
        _time("finished_at"),
        _belongs_to_trial("attempts"),
        sa.PrimaryKeyConstraint("study_id", "number", "attempt", name="pk_attempts"),
        sqlite_with_rowid=False,
    )


def _create_trial_values() -> None:
    op.create_table(
        "trial_metrics",
        _key("study_id"),
        _key("number"),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        _belongs_to_trial("trial_metrics"),
        sa.PrimaryKeyConstraint("study_id", "number", "name", name="pk_trial_metrics"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_trial_metrics_study_id_name_value", "trial_metrics", ["study_id", "name", "value"])
    op.create_table(
        "intermediate_values",
        _key("study_id"),
        _key("number"),
        _key("step"),
        sa.Column("metric", sa.String(100), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        _belongs_to_trial("intermediate_values"),
        sa.PrimaryKeyConstraint("study_id", "number", "step", "metric", name="pk_intermediate_values"),
        sqlite_with_rowid=False,
    )


def _create_formulas() -> None:
    op.create_table(
        "formulas",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        _time("created_at", nullable=False),
        _belongs_to_study("formulas"),
        sa.PrimaryKeyConstraint("id", name="pk_formulas"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_formulas_study_id_revision", "formulas", ["study_id", "revision"])


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON()),
        sa.Column("error", sa.Text()),
        _time("created_at", nullable=False),
        _time("finished_at"),
        *_lease(),
        _belongs_to_study("operations"),
        sa.PrimaryKeyConstraint("id", name="pk_operations"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_operations_study_id", "operations", ["study_id"])
    op.create_table(
        "exports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("operation_id", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(40), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("folder", sa.Text()),
        _time("created_at", nullable=False),
        _belongs_to_study("exports"),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operations.id"], name="fk_exports_operation_id_operations", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_exports"),
        sa.UniqueConstraint("operation_id", name="uq_exports_operation_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_exports_study_id", "exports", ["study_id"])
