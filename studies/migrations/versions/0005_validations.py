"""Validations of recipes, and the studies that train their sizes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "validations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name="fk_validations_study_id_studies", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_validations"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_validations_study_id", "validations", ["study_id"])
    op.create_table(
        "validation_rungs",
        sa.Column("validation_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("study_id", sa.Integer()),
        sa.ForeignKeyConstraint(
            ["validation_id"],
            ["validations.id"],
            name="fk_validation_rungs_validation_id_validations",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name="fk_validation_rungs_study_id_studies", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("validation_id", "position", name="pk_validation_rungs"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_validation_rungs_study_id", "validation_rungs", ["study_id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("validation_rungs")
    op.drop_table("validations")
