"""What studies need to go on: points that users enqueue, and trials that others train."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table and the columns."""
    op.create_table(
        "enqueued_points",
        sa.Column("study_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("point", sa.JSON(), nullable=False),
        sa.Column("may_repeat", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name="fk_enqueued_points_study_id_studies", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "position", name="pk_enqueued_points"),
        sqlite_with_rowid=False,
    )
    op.add_column("studies", sa.Column("external", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("trials", sa.Column("client", sa.String(200)))
    op.add_column("trials", sa.Column("due_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Drop what was added."""
    op.drop_column("trials", "due_at")
    op.drop_column("trials", "client")
    op.drop_column("studies", "external")
    op.drop_table("enqueued_points")
