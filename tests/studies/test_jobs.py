"""A Ray that refuses is one that cannot be reached: the worker waits and tries again."""

import pytest
from ray.exceptions import AuthenticationError

from studies import jobs
from studies.errors import RayUnavailable


@pytest.mark.parametrize(
    "failure", [AuthenticationError("invalid token"), ConnectionError("refused"), RuntimeError("500")]
)
def test_a_ray_that_takes_no_jobs_is_unavailable(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def refuse(address: str) -> None:
        raise failure

    monkeypatch.setattr(jobs, "JobSubmissionClient", refuse)
    with pytest.raises(RayUnavailable, match="takes no job"):
        jobs.Jobs("http://127.0.0.1:9")
