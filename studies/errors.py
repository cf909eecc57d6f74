"""What can go wrong with stored studies. The HTTP layer maps each class to a status."""

from datetime import datetime

from model.errors import FormularyError


class NotFound(FormularyError):
    """Nothing with this id belongs to the owner."""


class Conflict(FormularyError):
    """The row's state does not allow what was asked."""


class LeaseHeld(Conflict):
    """Another process holds the lease.

    Args:
        subject: what is leased, e.g. ``study 12``.
        holder: id of the process that holds it (see studies.process_identity).
        expires_at: when the lease ends unless it is renewed, on the database's clock.
    """

    def __init__(self, subject: str, holder: str, expires_at: datetime) -> None:
        host_and_pid = ":".join(holder.split(":")[:2])
        super().__init__(
            f"{subject} is being worked on by {host_and_pid} until {expires_at.isoformat(timespec='seconds')}, "
            "unless that process renews its lease; stop it or wait"
        )
        self.holder = holder
        self.expires_at = expires_at


class LeaseLost(FormularyError):
    """The lease went to another process, or the row is gone: its former holder must not write."""


class DatabaseUnusable(FormularyError):
    """The database cannot be reached, read or written; whoever set it up can mend that."""


class RayUnavailable(FormularyError):
    """Ray does not answer, or takes no job."""
