"""The connection to Ray: the process's own, a given cluster, or a Ray of this machine; quiet, and without litter."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

from model.errors import InvalidInput
from search.settings import Resources

OBJECT_STORE_BYTES = 128 * 2**20
"""Shared memory of a local Ray; results are small (assumed)."""
PROBE_SECONDS = 5.0
"""How long a given Ray address may take to answer; Ray itself would retry for minutes (measured)."""

TRIAL_ENVIRONMENT = {"PL_DISABLE_FORK": "1", "RAY_CHDIR_TO_TRIAL_DIR": "0"}
"""What Tune sets for its actors under ``_ENVIRONMENT`` (measured; a test holds it)."""
MAX_STARTED = 16
"""Most processes that are started ahead (assumed: with more trials at once, their start matters less)."""
LONGEST_START_S = 30.0
"""After it trials start processes of their own (assumed; 1 s measured)."""

_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
"""Ray reads these: no files and no state of its own, results of failed trials carry no metric, errors are ours to
tell, no usage reports."""


def check_resources(resources: Resources) -> None:
    """Check that some node can hold a trial; Tune would wait for one forever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    wanted = {"CPU": resources.cpu, "GPU": resources.gpu}
    if any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        return
    for name, amount in wanted.items():
        most = max((node.get(name, 0) for node in nodes), default=0)
        if most < amount:
            field = f"resources_per_trial.{name.lower()}"
            raise InvalidInput(field, f"{amount:g} is more than any node has", f"use at most {most:g}")
    raise InvalidInput("resources_per_trial", "no node has both the CPUs and the GPUs", "lower one of them")


@contextmanager
def connection(address: str | None) -> Iterator[None]:
    """A connection to Ray: the process's own if it has one, else the given cluster, else a Ray of this machine."""
    if ray.is_initialized():
        yield
        return
    if address is None:
        local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    else:
        _probe(address)
        local = {}
    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **local)
    try:
        with _termination_as_interrupt():
            yield
    finally:
        ray.shutdown()


def start_processes(count: int) -> Callable[[], None]:
    """Let Ray start processes for trials, while this one loads Tune.

    Returns:
        What waits until they have started. A trial's actor takes an idle process of its job and environment.
    """
    start = ray.remote(num_cpus=0, runtime_env={"env_vars": TRIAL_ENVIRONMENT})(_nothing)
    starting = [start.remote() for _ in range(min(count, MAX_STARTED))]

    def wait() -> None:
        ray.wait(starting, num_returns=len(starting), timeout=LONGEST_START_S)

    return wait


def _nothing() -> None:
    return


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a search as Ctrl+C does; Ray's own handler would print a stack trace and exit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _probe(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=PROBE_SECONDS).close()
    except OSError as error:
        raise InvalidInput(
            "ray_address", f"{address} does not answer ({error})", "start Ray there, or leave it out"
        ) from error


@contextmanager
def quiet_environment(starting: int = 1) -> Iterator[None]:
    """Set the environment variables that Ray reads, and put them back; ``starting`` trials may start at once."""
    variables = {**_ENVIRONMENT, "TUNE_MAX_PENDING_TRIALS_PG": str(starting)}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keep Ray's messages to the driver from the user, who sees ours."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
