"""What the rows of a trial cost: three parameters, 20 evaluations, one objective, written as a search tells them.

Both sides are durable, and flush to disk (fsync) at each commit. Ours: SQLite with a write-ahead log and ``synchronous
= FULL``, one commit as a trial starts and one with its end and the evaluations before it; evaluations alone wait for
a second at most, so that a power cut costs those of running trials, never a finished trial. Optuna's ``RDBStorage``
with its defaults: a rollback journal and ``synchronous = FULL``, one commit for each parameter, evaluation and state.

``python -m benchmarks.storage`` measures the same on PostgreSQL, its own flushing left on.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import event

from search.events import TrialCompleted, TrialProgress, TrialStarted
from studies.database import Database
from studies.recorder import Recorder
from studies.records import StudyState
from studies.repository import leases, owners, studies
from studies.tables import StudyRow

EVALUATIONS = 20
SMALL, LARGE = 100, 10_000
"""Trials that are there before the cost of further ones is measured."""
ROUNDS, TRIALS_A_ROUND = 9, 40


class Ours:
    """A study that grows by one trial at each call."""

    def __init__(self, database: Database) -> None:
        database.migrate()
        now = datetime.now(UTC)
        with database.session() as session:
            owners.ensure(session, "ada", now)
            study = studies.add(session, "ada", "benchmark", StudyState.RUNNING, {}, "digest", now)
            lease = leases.claim(session, StudyRow, study.id, "benchmark", timedelta(hours=1))
        self._record = Recorder(database, lease)
        self._random = Random(0)
        self._number = 0

    def __call__(self) -> None:
        """Record a trial."""
        number, rate, loss = self._number, self._random.random(), self._random.random()
        self._record(TrialStarted(number, {"depth": number % 9, "learning_rate": rate, "seed": number % 100}))
        for step in range(EVALUATIONS):
            self._record(TrialProgress(number, step, {"bits_per_byte": loss + 1 / (1 + step)}))
        self._record(TrialCompleted(number, {"bits_per_byte": loss}, {}))
        self._number += 1


class Optunas:
    """A study of Optuna's that grows by one trial at each call."""

    def __init__(self, path: Path, write_ahead_log: bool = False) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage = RDBStorage(f"sqlite:///{path}")
        if write_ahead_log:
            event.listen(self._storage.engine, "connect", lambda opened, _: opened.execute("PRAGMA journal_mode = WAL"))
            self._storage.engine.dispose()
        self._study = self._storage.create_new_study([StudyDirection.MINIMIZE])
        self._random = Random(0)
        self._number = 0

    def __call__(self) -> None:
        """Record a trial."""
        number, rate, loss = self._number, self._random.random(), self._random.random()
        trial = self._storage.create_new_trial(self._study)
        self._storage.set_trial_param(trial, "depth", number % 9, IntDistribution(0, 9))
        self._storage.set_trial_param(trial, "learning_rate", rate, FloatDistribution(0, 1))
        self._storage.set_trial_param(trial, "seed", number % 100, IntDistribution(0, 100))
        for step in range(EVALUATIONS):
            self._storage.set_trial_intermediate_value(trial, step, loss + 1 / (1 + step))
        self._storage.set_trial_state_values(trial, TrialState.COMPLETE, [loss])
        self._number += 1


def seconds(record: Callable[[], None], count: int) -> float:
    """Seconds a trial over ``count`` further trials."""
    start = time.perf_counter()
    for _ in range(count):
        record()
    return (time.perf_counter() - start) / count


def alternating(*records: Callable[[], None]) -> list[list[float]]:
    """For each of them its seconds a trial in each round, in turn, so that other work on the machine slows all."""
    rounds = [[seconds(record, TRIALS_A_ROUND) for record in records] for _ in range(ROUNDS)]
    return [list(column) for column in zip(*rounds, strict=True)]


def ratio(upper: list[float], lower: list[float]) -> float:
    """The median over the rounds."""
    return median(one / other for one, other in zip(upper, lower, strict=True))


def measure() -> float:
    """Optuna's SQLite storage over ours."""
    with tempfile.TemporaryDirectory() as name, Database(f"sqlite:///{name}/ours.db") as database:
        records = (Ours(database), Optunas(Path(name) / "default.db"), Optunas(Path(name) / "wal.db", True))
        for record in records:
            seconds(record, TRIALS_A_ROUND)
        ours, default, ahead = alternating(*records)
    times = [f"{median(one) * 1e3:.1f}" for one in (ours, default, ahead)]
    print(f"a recorded trial: ours {times[0]} ms, Optuna's storage {times[1]} ms, with a write-ahead log {times[2]} ms")
    print(f"Optuna's with a write-ahead log / ours: {ratio(ahead, ours):.1f}")
    return ratio(default, ours)


def growth(small: Database, large: Database) -> float:
    """The cost of a trial with few trials before it, over that with many."""
    records = Ours(small), Ours(large)
    seconds(records[0], SMALL)
    seconds(records[1], LARGE)
    few, many = alternating(*records)
    print(f"a recorded trial: {median(few) * 1e3:.2f} ms after {SMALL}, {median(many) * 1e3:.2f} ms after {LARGE}")
    return ratio(few, many)


def measure_growth() -> float:
    """The figure on SQLite."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        return growth(*(stack.enter_context(Database(f"sqlite:///{folder}/{name}.db")) for name in ("small", "large")))


def measure_postgresql() -> float:
    """The same on an embedded PostgreSQL; two studies in one database."""
    from pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="formulary-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
            with Database(url) as small, Database(url) as large:
                return growth(small, large)
        finally:
            server.cleanup()


if __name__ == "__main__":
    print(f"PostgreSQL: cost of a trial after {SMALL} / after {LARGE}: {measure_postgresql():.2f}")
