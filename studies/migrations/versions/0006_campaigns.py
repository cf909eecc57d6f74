"""Campaigns, and the studies of their stages and rungs."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["owner"], ["owners.name"], name="fk_campaigns_owner_owners"),
        sa.PrimaryKeyConstraint("id", name="pk_campaigns"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_campaigns_owner_digest", "campaigns", ["owner", "digest"])
    op.create_index("ix_campaigns_state", "campaigns", ["state"])
    op.create_table(
        "campaign_studies",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("study_id", sa.Integer()),
        sa.Column("outcome", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name="fk_campaign_studies_campaign_id_campaigns", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name="fk_campaign_studies_study_id_studies", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("campaign_id", "position", name="pk_campaign_studies"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_campaign_studies_study_id", "campaign_studies", ["study_id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("campaign_studies")
    op.drop_table("campaigns")
