"""Queries on campaigns and on the studies of their stages and rungs."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, select, update
from sqlalchemy.orm import Session

from studies.records import ACTIVE_STUDY_STATES, Campaign, CampaignState, CampaignStudy
from studies.tables import CampaignRow, CampaignStudyRow, StudyRow


def add(session: Session, owner: str, name: str, document: Mapping[str, Any], digest: str, now: datetime) -> Campaign:
    """Insert a campaign that runs, as yet without studies."""
    row = CampaignRow(
        owner=owner, name=name, state=CampaignState.RUNNING, document=dict(document), digest=digest, created_at=now
    )
    session.add(row)
    session.flush()
    return _campaign(row, ())


def get(session: Session, campaign_id: int) -> Campaign | None:
    """Find a campaign."""
    return next(iter(_read(session, _fresh().where(CampaignRow.id == campaign_id))), None)


def lock(session: Session, campaign_id: int) -> Campaign | None:
    """Find a campaign and keep it as it is for others until the transaction ends."""
    session.execute(select(CampaignRow.id).where(CampaignRow.id == campaign_id).with_for_update())
    return get(session, campaign_id)


def find_by_digest(session: Session, owner: str, digest: str, states: Collection[CampaignState]) -> Campaign | None:
    """Find the owner's newest campaign with this document in one of ``states``."""
    found = _fresh().where(CampaignRow.owner == owner, CampaignRow.digest == digest, CampaignRow.state.in_(states))
    return next(iter(_read(session, found.order_by(CampaignRow.id.desc()).limit(1))), None)


def page(session: Session, owner: str, before_id: int | None, size: int | None) -> list[Campaign]:
    """List the owner's campaigns, newest first, starting below ``before_id``."""
    statement = _fresh().where(CampaignRow.owner == owner)
    if before_id is not None:
        statement = statement.where(CampaignRow.id < before_id)
    return _read(session, statement.order_by(CampaignRow.id.desc()).limit(size))


def waiting(session: Session) -> list[int]:
    """List the campaigns that may go on, oldest first: they run, and no study of theirs that is to end still does."""
    of_campaign = CampaignStudyRow.campaign_id == CampaignRow.id
    unfinished = CampaignStudyRow.outcome.is_(None) & StudyRow.state.in_(ACTIVE_STUDY_STATES)
    joined = select(CampaignStudyRow.campaign_id).join(StudyRow, StudyRow.id == CampaignStudyRow.study_id)
    active = exists(joined.where(of_campaign, unfinished).correlate(CampaignRow))
    statement = select(CampaignRow.id).where(CampaignRow.state == CampaignState.RUNNING, ~active)
    return list(session.scalars(statement.order_by(CampaignRow.id)))


def owning(session: Session, study_id: int) -> Campaign | None:
    """Find the campaign of which a study is a stage or a rung."""
    found = select(CampaignStudyRow.campaign_id).where(CampaignStudyRow.study_id == study_id)
    campaign_id = session.scalar(found.limit(1))
    return None if campaign_id is None else get(session, campaign_id)


def set_state(session: Session, campaign_id: int, state: CampaignState, **values: Any) -> None:
    """Change a campaign's state, and other columns with it."""
    changed = {"state": state, "revision": CampaignRow.revision + 1, **values}
    session.execute(update(CampaignRow).where(CampaignRow.id == campaign_id).values(**changed))


def set_study(session: Session, campaign_id: int, position: int, study_id: int) -> None:
    """Note the study of a position; it takes the place of one that was there before."""
    row = session.get(CampaignStudyRow, (campaign_id, position), populate_existing=True)
    if row is None:
        session.add(CampaignStudyRow(campaign_id=campaign_id, position=position, study_id=study_id))
    else:
        row.study_id = study_id
    session.flush()


def set_outcome(session: Session, campaign_id: int, position: int, outcome: Mapping[str, Any]) -> None:
    """Note what came of a stage."""
    table = CampaignStudyRow
    of_stage = (table.campaign_id == campaign_id, table.position == position)
    session.execute(update(table).where(*of_stage).values(outcome=dict(outcome)))


def remove_study(session: Session, campaign_id: int, position: int) -> None:
    """Forget the study of a position, so that another one is begun for it."""
    table = CampaignStudyRow
    session.execute(delete(table).where(table.campaign_id == campaign_id, table.position == position))


def remove(session: Session, campaign_id: int) -> None:
    """Delete a campaign; its studies stay."""
    session.execute(delete(CampaignRow).where(CampaignRow.id == campaign_id))


def _fresh() -> Select[CampaignRow]:
    """Select campaigns as they are now, whatever this session read before."""
    return select(CampaignRow).execution_options(populate_existing=True)


def _read(session: Session, statement: Select[CampaignRow]) -> list[Campaign]:
    rows = list(session.scalars(statement))
    studies = _studies(session, [row.id for row in rows])
    return [_campaign(row, studies.get(row.id, ())) for row in rows]


def _studies(session: Session, campaign_ids: Sequence[int]) -> dict[int, tuple[CampaignStudy, ...]]:
    table = CampaignStudyRow
    columns = select(table.campaign_id, table.position, table.study_id, table.outcome)
    found: dict[int, tuple[CampaignStudy, ...]] = {}
    ordered = columns.where(table.campaign_id.in_(campaign_ids)).order_by(table.campaign_id, table.position)
    for campaign_id, *study in session.execute(ordered):
        found[campaign_id] = (*found.get(campaign_id, ()), CampaignStudy(*study))
    return found


def _campaign(row: CampaignRow, studies: tuple[CampaignStudy, ...]) -> Campaign:
    return Campaign(
        id=row.id,
        owner=row.owner,
        name=row.name,
        state=row.state,
        document=row.document,
        revision=row.revision,
        error=row.error,
        studies=studies,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
