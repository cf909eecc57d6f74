"""What a slot shows in the Ray dashboard: gauges of its trials, and lines in its log."""

import logging
from collections.abc import Collection, Mapping

from ray.util.metrics import Gauge

from search.events import Value

log = logging.getLogger(__name__)


class SlotTelemetry:
    """Gauges ``ray_formulary_trial_*`` on the node's metrics port, and a line when a trial starts and ends.

    Ray forgets a gauge about 20 seconds after it was set (measured), so that series of ended trials do not pile up;
    each evaluation therefore sets all of them. Setting one takes 2 µs (measured). What differs between the trials of
    a program bears their number as a label.
    """

    def __init__(self, study: str, slot: int, metric: str) -> None:
        """Name the slot.

        Args:
            study: label of the study, e.g. ``study-12``.
            slot: the slot's index.
            metric: name of the objective.
        """
        self._slot = {"study": study, "slot": str(slot)}
        self._metric = metric
        self._number = _gauge("number", "Lowest number of the trials that the slot runs", self._slot)
        self._stack = _gauge("stack", "How many trials the slot runs, as one program", self._slot)
        self._step = _gauge("step", "Optimizer step of the trial's latest evaluation", self._slot, "trial")
        self._objective = _gauge("objective", "Objective at the latest evaluation", self._slot, "trial", "metric")
        _log_to_stderr()

    def started(self, number: int, parameters: Mapping[str, Value]) -> None:
        """The slot took a trial on."""
        log.info("trial %d starts: %s", number, ", ".join(f"{name}={value}" for name, value in parameters.items()))

    def running(self, numbers: Collection[int]) -> None:
        """The slot runs these trials now."""
        self._stack.set(len(numbers))
        if numbers:
            self._number.set(min(numbers))

    def evaluated(self, number: int, step: int, value: float | None) -> None:
        """The trial was evaluated; ``value`` is its objective, if it has one yet."""
        trial = {"trial": str(number)}
        self._step.set(step, trial)
        if value is not None:
            self._objective.set(value, {**trial, "metric": self._metric})

    def ended(self, number: int, outcome: str) -> None:
        """The trial runs no more."""
        log.info("trial %d ends: %s", number, " ".join(outcome.split()))


def _gauge(name: str, description: str, slot: Mapping[str, str], *further: str) -> Gauge:
    gauge = Gauge(f"formulary_trial_{name}", description, tag_keys=(*slot, *further))
    gauge.set_default_tags(dict(slot))
    return gauge


def _log_to_stderr() -> None:
    """Write this module's lines where an actor's page in the dashboard shows them first; Ray sets no logging up."""
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
