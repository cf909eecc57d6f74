"""Which process is this, and does another one still run? Exact on Linux, unknown elsewhere."""

import os
import socket
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """Name this process: host, pid, start time, PID namespace and boot, joined by colons."""
    return process(os.getpid())


def process(pid: int) -> str:
    """Name a process of this machine, as ``this_process`` does."""
    return f"{socket.gethostname()}:{pid}:{_start_time(pid)}:{_machine()}"


def has_ended(identity: str) -> bool:
    """Whether the process is known to have ended: it ran on this boot of this machine, and is gone."""
    return _is_here(identity) and not runs_here(identity)


def runs_here(identity: str) -> bool:
    """Whether the process is known to run: on this boot of this machine, in this PID namespace."""
    _, pid, start_time, _ = identity.split(":", 3)
    return _is_here(identity) and start_time != "" and _start_time(int(pid)) == start_time


def known_dead(identity: str | None) -> str | None:
    """The process if it is known to have ended."""
    return identity if identity is not None and has_ended(identity) else None


def session_of(leader: str) -> list[int]:
    """Pids of what lives of the session that a process of this boot led (setsid(2)), whether it lives or not.

    The system gives no new process the pid of a session that has members.
    """
    _, pid, start_time, _ = leader.split(":", 3)
    if not _is_here(leader) or _start_time(int(pid)) not in ("", start_time):
        return []
    found = (int(place.name) for place in _PROC.iterdir() if place.name.isdigit())
    return [member for member in found if _stat(member)[3:4] == [pid]]


def _is_here(identity: str) -> bool:
    """Whether the identity is of this boot of this machine, so that its pid means something."""
    _host, _pid, _start, machine = identity.split(":", 3)
    return machine != "" and machine == _machine()


def _start_time(pid: int) -> str:
    """Clock ticks since boot at which a process started; empty when there is none."""
    return next(iter(_stat(pid)[19:20]), "")


def _stat(pid: int) -> list[str]:
    """The fields of a process's status from the third on (proc(5), stat), after its name; none when it has ended."""
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8")
    except OSError:
        return []
    fields = stat.rpartition(")")[2].split()
    return [] if fields[0] in "ZX" else fields


def _machine() -> str:
    """The PID namespace and the boot in which pids are unique; empty where the system does not tell."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        namespace = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return ""
    return f"{namespace}:{boot}"
