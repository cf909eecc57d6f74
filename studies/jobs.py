"""Ray Jobs: a study's run is submitted to a Ray and listed in its dashboard. Nothing that Ray says decides anything."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ray.exceptions import RayError
from ray.job_submission import JobStatus, JobSubmissionClient

from studies.errors import RayUnavailable
from studies.workers.dispatch import Run

_FAILURES = (RuntimeError, OSError, RayError)
"""What the client raises: RuntimeError for an answer that is an error, ConnectionError and requests' errors
(which are OSErrors) where there is none, AuthenticationError where another Ray has taken the port of one that died."""


class Jobs:
    """An open connection to the job server of one Ray: opening takes two seconds, a call milliseconds (measured).

    Args:
        dashboard_url: ``http://HOST:PORT`` of its dashboard.

    Raises:
        RayUnavailable: (by every method too) it does not answer, or refuses.
    """

    def __init__(self, dashboard_url: str) -> None:
        self.dashboard_url = dashboard_url
        try:
            self._client = JobSubmissionClient(dashboard_url)
        except _FAILURES as error:
            raise _unavailable(dashboard_url, error) from error

    def submit(self, run: Run, home: Path) -> None:
        """Submit a run; the driver is given the lease by its token, and secrets by its Ray's environment."""
        try:
            self._client.submit_job(
                entrypoint=_entrypoint(run, home),
                submission_id=run.job_id,
                metadata={"job_name": f"study-{run.lease.id}", "study_name": run.study_name},
            )
        except _FAILURES as error:
            raise _unavailable(self.dashboard_url, error) from error

    def stop_all(self) -> None:
        """Ask every job of this Ray to end; the drivers leave their studies queued."""
        try:
            for job in self._client.list_jobs():
                if job.submission_id is not None and job.status in (JobStatus.PENDING, JobStatus.RUNNING):
                    self._client.stop_job(job.submission_id)
        except _FAILURES as error:
            raise _unavailable(self.dashboard_url, error) from error


def _entrypoint(run: Run, home: Path) -> str:
    """The driver's command. ``-P`` keeps a folder ``api`` of Ray's working directory from being imported."""
    command: Sequence[str | int | Path] = (sys.executable, "-P", "-u", "-m", "api.cli", "run-study", run.lease.id)
    arguments = (*command, "--lease", run.lease.token, "--home", home)
    return f"exec {shlex.join(map(str, arguments))}"


def _unavailable(dashboard_url: str, error: Exception) -> RayUnavailable:
    said = " ".join(str(error).split())[:500]
    return RayUnavailable(f"Ray at {dashboard_url} takes no job ({said})")
