"""What a running search looks like: a live display on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from api.terminal.consoles import printable, short, short_parameters
from search.events import (
    AttemptLost,
    TrialCompleted,
    TrialEvent,
    TrialFailed,
    TrialInfeasible,
    TrialProgress,
    TrialPruned,
    TrialStarted,
)
from search.origins import ORIGIN

SPEED_PERIOD_S = 3600.0
"""How far back the speed is looked at for the time left (assumed: trials take seconds to minutes)."""
WORDS: Mapping[type[TrialEvent], str] = {
    TrialCompleted: "complete",
    TrialPruned: "pruned",
    TrialFailed: "failed",
    TrialInfeasible: "infeasible",
}
"""Events that end a trial."""
FINISHED_TRIALS = frozenset({"COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"})


@dataclass
class Tally:
    """How far a search is."""

    metric: str
    direction: str
    total: int
    finished: int = 0
    best: float | None = None
    running: dict[int, TrialStarted] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> Self:
        """How far a study with these trials is."""
        objective = study["spec"]["objectives"][0]
        total = study["spec"].get("max_trial_count", len(trials))
        finished = sum(trial["state"] in FINISHED_TRIALS for trial in trials)
        tally = cls(objective["metric"], objective["direction"], total, finished)
        for trial in trials:
            if trial["state"] == "COMPLETE" and trial["attributes"].get(ORIGIN) != "replicate":
                tally.consider(trial["metrics"])
        return tally

    def take(self, event: TrialEvent) -> None:
        """Count ``event``; replicates of leaders are no candidates for the best."""
        running = self.running.get(event.number)
        if isinstance(event, TrialStarted):
            self.running[event.number] = event
        elif type(event) in WORDS:
            self.running.pop(event.number, None)
            self.finished += 1
        elif isinstance(event, AttemptLost):
            self.running.pop(event.number, None)
        replicated = running is not None and running.attributes.get(ORIGIN) == "replicate"
        if isinstance(event, TrialCompleted) and not replicated:
            self.consider(event.metrics)

    def consider(self, metrics: Mapping[str, float]) -> None:
        """Keep the objective if it is the best so far."""
        value = metrics.get(self.metric)
        if value is not None:
            better = min if self.direction == "minimize" else max
            self.best = value if self.best is None else better(value, self.best)

    @property
    def best_text(self) -> str:
        """The best value so far in words."""
        return f"best {self.metric} {'-' if self.best is None else short(self.best)}"


class SearchDisplay(Protocol):
    """An observer that is shown between ``__enter__`` and ``__exit__``."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: Any) -> None: ...

    def __call__(self, event: TrialEvent) -> None:
        """Show ``event``."""


class PlainDisplay:
    """A line for each trial that ends."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._tally = tally
        self._print: Callable[[str], None] = lambda line: console.print(line, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def __call__(self, event: TrialEvent) -> None:
        """Say how a trial ended."""
        started = self._tally.running.get(event.number)
        self._tally.take(event)
        if isinstance(event, AttemptLost):
            self._print(f"trial {event.number} lost its worker and runs again ({printable(event.reason)})")
        elif type(event) in WORDS:
            parameters = short_parameters(started.parameters) if started else ""
            place = f"{self._tally.finished} of {self._tally.total}"
            ending = _ending(event, self._tally.metric)
            self._print(f"[{place}] trial {event.number} {ending} {parameters}; {self._tally.best_text}")


class LiveDisplay:
    """An overall bar, and a line for each running trial."""

    def __init__(self, console: Console, tally: Tally) -> None:
        self._tally = tally
        self._begun = False
        self._latest: dict[int, TrialProgress] = {}
        self._progress = Progress(
            TextColumn("trials"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            speed_estimate_period=SPEED_PERIOD_S,
        )
        self._task = self._progress.add_task(tally.best_text, total=tally.total, completed=tally.finished)
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, event: TrialEvent) -> None:
        """Show ``event``."""
        self._begun = True
        self._tally.take(event)
        if isinstance(event, TrialProgress):
            self._latest[event.number] = event
        else:
            self._latest.pop(event.number, None)
        self._progress.update(self._task, completed=self._tally.finished, description=self._tally.best_text)

    def render(self) -> RenderableType:
        """The bar and the running trials as they are now."""
        lines = [self._line(started) for started in list(self._tally.running.values())]
        return Group(self._progress, *(lines if self._begun else [Text("  starting the workers …")]))

    def _line(self, started: TrialStarted) -> Text:
        progress = self._latest.get(started.number)
        metric = self._tally.metric
        seen = f"step {progress.step}" if progress else "starting"
        if progress and metric in progress.values:
            seen += f", {metric} {short(progress.values[metric])}"
        return Text(
            f"  trial {started.number}: {seen}  {short_parameters(started.parameters)}",
            no_wrap=True,
            overflow="ellipsis",
        )


def search_display(console: Console, tally: Tally) -> SearchDisplay:
    """A live display on a terminal, plain lines elsewhere."""
    return LiveDisplay(console, tally) if console.is_terminal else PlainDisplay(console, tally)


def _ending(event: TrialEvent, metric: str) -> str:
    word = WORDS[type(event)]
    if isinstance(event, TrialFailed | TrialInfeasible):
        return f"{word} ({printable(event.reason)})"
    if not isinstance(event, TrialCompleted | TrialPruned) or metric not in event.metrics:
        return word
    why = f" ({printable(event.reason)})" if isinstance(event, TrialPruned) else ""
    return f"{word}: {metric} {short(event.metrics[metric])}{why}"
