"""A thread that keeps a lease alive while the work is done."""

import logging
import threading
from datetime import timedelta
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from studies.database import Database
from studies.errors import DatabaseUnusable, LeaseLost
from studies.repository import leases
from studies.repository.leases import Lease

LEASE_TTL = timedelta(seconds=20)
"""How long a holder that says nothing counts as alive (assumed: long beside a stalled disk, short beside a trial)."""
RENEWALS_PER_TTL = 4

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews ``lease`` every quarter of ``ttl``, from entering the block to leaving it.

    A renewal that the database refuses is tried again at the next beat: writes are fenced by the token, so that
    a lease which meanwhile expired does no harm.
    """

    def __init__(self, database: Database, lease: Lease, ttl: timedelta = LEASE_TTL) -> None:
        self._database = database
        self._lease = lease
        self._ttl = ttl
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of {lease}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def lost(self) -> bool:
        """Whether another process has taken the row over."""
        return self._lost.is_set()

    def _beat(self) -> None:
        while not self._stop.wait(self._ttl.total_seconds() / RENEWALS_PER_TTL):
            try:
                with self._database.session() as session:
                    leases.renew(session, self._lease, self._ttl)
            except LeaseLost:
                self._lost.set()
                return
            except (SQLAlchemyError, DatabaseUnusable) as error:
                log.warning("the lease of %s was not renewed: %s", self._lease, error)
