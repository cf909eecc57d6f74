"""Operations that wait for a worker, oldest first."""

import logging
from pathlib import Path

from studies.database import Database
from studies.errors import Conflict, NotFound
from studies.process_identity import known_dead
from studies.repository import queue

log = logging.getLogger(__name__)


def execute_next(database: Database, storage: Path) -> bool:
    """Execute the oldest operation that nobody works on; whether there was one.

    An error inside Formulary is logged; the operation's row tells that it failed.
    """
    with database.read_session() as session:
        found = queue.open_operations(session)
    waiting = next((operation for operation in found if not operation.held or known_dead(operation.holder)), None)
    if waiting is None:
        return False
    from studies.workers.operations import execute_operation  # loads torch

    log.info("executing operation %d", waiting.id)
    try:
        ended = execute_operation(database, waiting.id, storage, known_dead(waiting.holder))
    except (Conflict, NotFound) as error:
        log.info("%s", error)
    except Exception:  # whatever went wrong inside is in the log; the next operation may go well
        log.exception("operation %d failed", waiting.id)
    else:
        log.info("operation %d is %s", ended.id, ended.state)
    return True
