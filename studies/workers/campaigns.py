"""Lets campaigns go on: any process that works on a database may call this, as often as it likes."""

import logging
from dataclasses import replace

from sqlalchemy.exc import OperationalError

from model.errors import InvalidInput
from studies import service
from studies.database import Database
from studies.errors import DatabaseUnusable, NotFound
from studies.records import CampaignState
from studies.repository import campaigns
from studies.service.campaigns import Step

INTERNAL = "an error inside Formulary; see the log of the process that let the campaign go on"

log = logging.getLogger(__name__)


def advance_campaigns(database: Database) -> None:
    """Let every campaign go on that can. A look is one query where none can.

    One that cannot, because of something that nobody foresaw, is FAILED and keeps no other from going on.

    Raises:
        DatabaseUnusable, OperationalError: the database does not answer; no campaign is to blame.
    """
    with database.read_session() as session:
        waiting = campaigns.waiting(session)
    for campaign_id in waiting:
        try:
            advance_campaign(database, campaign_id)
        except (OperationalError, DatabaseUnusable):
            raise
        except Exception:
            log.exception("campaign %d cannot go on", campaign_id)
            _fail(database, campaign_id)


def advance_campaign(database: Database, campaign_id: int) -> bool:
    """Do the next step of a campaign; whether there was one, and this process did it.

    What makes a step impossible ends the campaign as FAILED, with the reason.
    """
    with database.read_session() as session:
        step = service.next_step(session, campaign_id)
    if step is None:
        return False
    try:
        return _take(database, step)
    except (InvalidInput, NotFound) as error:
        return _take(database, replace(step, studies=(), ending=(CampaignState.FAILED, str(error))))


def _take(database: Database, step: Step) -> bool:
    with database.session() as session:
        taken = service.take_step(session, step)
    if taken:
        for new in step.studies:
            log.info("campaign %d: created the study %r", step.campaign_id, new.spec.name)
        if step.ending is not None:
            log.info("campaign %d is %s", step.campaign_id, step.ending[0])
    return taken


def _fail(database: Database, campaign_id: int) -> None:
    with database.read_session() as session:
        campaign = campaigns.get(session, campaign_id)
    if campaign is not None:
        _take(database, Step(campaign_id, campaign.revision, ending=(CampaignState.FAILED, INTERNAL)))
