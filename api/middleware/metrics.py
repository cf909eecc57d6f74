"""What the service counts, in the text format of Prometheus: requests as they come, rows when somebody asks."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from studies import service
from studies.database import Database

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""Label of methods and paths that no route has: clients choose them, and each would be a series of its own."""
BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds (assumed: around the goal of 50 ms for reads)."""


class Metrics:
    """The counters of one application."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "formulary_http_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "formulary_http_request_seconds",
            "Seconds until an answer started.",
            ("method", "route"),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.registry.register(_Rows(database))

    def count(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; ``route`` is the name of what answered it, None where nothing did."""
        known = method if method in METHODS else OTHER
        where = OTHER if route is None else route
        self._requests.labels(known, where, str(status)).inc()
        self._seconds.labels(known, where).observe(seconds)


class _Rows(Collector):
    """Studies by state and workers that live, read when somebody asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is read while this is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the rows."""
        with self._database.read_session() as session:
            counts = service.count_studies(session)
            alive = len(service.list_workers(session))
        studies = GaugeMetricFamily("formulary_studies", "Studies of all owners, by state.", labels=["state"])
        for state, count in counts.items():
            studies.add_metric([state], count)
        yield studies
        yield GaugeMetricFamily("formulary_workers", "Workers that live.", value=alive)
