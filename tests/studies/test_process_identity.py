"""A process that ended is known to have ended, and nothing else is."""

import os
import signal
import subprocess
import sys

import pytest

from studies.process_identity import has_ended, process, runs_here, session_of, this_process

PRINT = "from studies.process_identity import this_process; print(this_process(), flush=True); input()"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="exact on Linux only; elsewhere leases just expire")


def test_this_process_has_not_ended() -> None:
    assert not has_ended(this_process())
    assert runs_here(this_process())


def test_a_killed_process_has_ended_even_before_it_is_reaped() -> None:
    with subprocess.Popen([sys.executable, "-c", PRINT], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        identity = process.stdout.readline().strip()
        assert not has_ended(identity)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is left unreaped
        assert has_ended(identity)
    assert has_ended(identity)
    assert not runs_here(identity)


def test_another_process_with_the_same_pid_does_not_hide_the_end() -> None:
    host, pid, start_time, machine = this_process().split(":", 3)
    assert has_ended(":".join([host, pid, str(int(start_time) - 1), machine]))


@pytest.mark.parametrize("machine", ["pid:[1]:another-boot", ""])
def test_nothing_is_known_of_other_machines(machine: str) -> None:
    host, _, start_time, _ = this_process().split(":", 3)
    identity = ":".join([host, "999999999", start_time, machine])
    assert not has_ended(identity)
    assert not runs_here(identity)


def test_a_process_that_was_gone_when_it_was_named_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    assert has_ended(process(gone.pid))
    assert not runs_here(process(gone.pid))


def test_a_session_is_found_after_its_leader_has_ended() -> None:
    script = "import subprocess, sys; print(subprocess.Popen(['sleep', '60'], stdout=2).pid); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], start_new_session=True, **pipes) as leader:
        identity = process(leader.pid)
        assert leader.stdout is not None
        member = int(leader.stdout.readline())
        assert set(session_of(identity)) == {leader.pid, member}
    assert session_of(identity) == [member]
    os.kill(member, signal.SIGKILL)
    assert session_of(identity.replace(":pid:", ":elsewhere:")) == []
