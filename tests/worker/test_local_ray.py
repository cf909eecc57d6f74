"""The Ray that a worker starts: for this machine, for holders of the token, and listing studies as jobs."""

import json
import stat
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from studies.records import StudyState

if TYPE_CHECKING:
    from tests.worker.conftest import Home

pytestmark = pytest.mark.slow
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def get(url: str, token: str | None) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        return json.load(answer)


def look_at(process: psutil.Process) -> tuple[set[str], str]:
    """Where a process listens, and its command line; nothing if it has ended meanwhile."""
    try:
        connections, command = process.net_connections(), " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return set(), ""
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}, command


@pytest.mark.chaos
def test_a_study_is_a_job_of_a_ray_that_only_this_machine_and_its_token_reach(shared_home: "Home") -> None:
    study = shared_home.create()
    shared_home.wait_for_complete(study, 1)
    token_file = shared_home.folder / "ray" / "token"
    token = token_file.read_text()
    address = shared_home.look(study).dashboard_url
    assert address is not None
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600

    seen = [look_at(process) for process in (*shared_home.ray_processes(), *shared_home.drivers(study))]
    assert any("raylet" in command for _, command in seen)
    listening = set[str]().union(*(addresses for addresses, _ in seen))
    assert listening
    assert listening <= LOOPBACK
    assert not [command for _, command in seen if token in command]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(f"{address}/api/jobs/", None)

    [job] = [job for job in get(f"{address}/api/jobs/", token) if job["submission_id"] == f"study-{study.id}-run-1"]
    assert job["metadata"] == {"job_name": f"study-{study.id}", "study_name": study.name}
    assert job["status"] == "RUNNING"
    assert (job["runtime_env"], token in json.dumps(job)) == ({}, False)
    assert shared_home.wait_for_end(study).state is StudyState.COMPLETED
    logs = get(f"{address}/api/jobs/study-{study.id}-run-1/logs", token)["logs"]
    for trial in shared_home.trials(study):
        assert f"trial {trial.number} complete: bits_per_byte" in logs
