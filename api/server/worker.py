"""The worker beside the HTTP server: a child process that is started again whenever it ends by itself."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from api.server.logs import cap
from api.settings import Settings

LOOK_EVERY_S = 1.0
FIRST_PAUSE_S = 1.0
"""Pause before a worker that ended is started again (assumed); it doubles each time, up to the longest."""
LONGEST_PAUSE_S = 60.0
LONG_LIFE_S = 60.0
"""A worker that lived this long has started well: the pauses begin anew (assumed)."""
STOP_S = 60.0
"""How long a worker may take to end, with drivers and a Ray of its own, before it is killed (assumed)."""

log = logging.getLogger(__name__)


def worker_beside(settings: Settings, log_file: Path) -> AbstractContextManager[None]:
    """Keep a worker on the same home running from the entry of the block to its end."""
    command = [sys.executable, "-P", "-m", "api.cli", "worker", "--parent", str(os.getpid())]
    return kept_running(command, settings.environment(), log_file)


@contextmanager
def kept_running(command: Sequence[str], environment: Mapping[str, str], log_file: Path) -> Iterator[None]:
    """Keep a process running from the entry of the block to its end, its output in ``log_file``."""
    keeper = _Keeper(command, environment, log_file)
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()


class _Keeper(threading.Thread):
    """Starts a process, waits for its end, starts it again."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log_file: Path) -> None:
        super().__init__(name="keeper", daemon=True)
        self._command = command
        self._environment = environment
        self._log_file = log_file
        self._ending = threading.Event()

    def run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._ending.is_set():
            begun = time.monotonic()
            status = self._live()
            if self._ending.is_set():
                return
            if time.monotonic() - begun > LONG_LIFE_S:
                pause = FIRST_PAUSE_S
            log.error(
                "the worker ended with status %s; starting it again in %g s (see %s)", status, pause, self._log_file
            )
            self._ending.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def stop(self) -> None:
        """End the process, and wait for it."""
        self._ending.set()
        self.join()

    def _live(self) -> int:
        """The process's whole life; its exit status."""
        with self._log_file.open("ab") as output:
            worker = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only this process, which then ends the worker in order
            )
        while worker.poll() is None and not self._ending.wait(LOOK_EVERY_S):
            cap(self._log_file)
        return _end(worker)


def _end(worker: "subprocess.Popen[bytes]") -> int:
    if worker.poll() is None:
        worker.terminate()
    try:
        return worker.wait(STOP_S)
    except subprocess.TimeoutExpired:
        log.error("the worker did not end within %g s and is killed", STOP_S)
        worker.kill()
        return worker.wait()
