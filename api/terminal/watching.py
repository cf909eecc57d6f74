"""Following a study that runs elsewhere: what the service sends becomes what a search here would say."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from api.client import Client
from api.terminal.search_progress import FINISHED_TRIALS, Tally, search_display
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

if TYPE_CHECKING:
    from api.transport.events import Event

Json = Mapping[str, Any]

_ENDINGS: Mapping[str, Callable[[Json], TrialEvent]] = {
    "COMPLETE": lambda trial: TrialCompleted(trial["number"], trial["metrics"], trial["attributes"]),
    "PRUNED": lambda trial: TrialPruned(trial["number"], trial["metrics"], trial["attributes"], trial["reason"] or ""),
    "FAIL": lambda trial: TrialFailed(trial["number"], trial["reason"] or ""),
    "INFEASIBLE": lambda trial: TrialInfeasible(trial["number"], trial["reason"] or ""),
}


class Translator:
    """Makes events of a search out of those of the service, each once.

    Args:
        metric: the objective; values of others are left out.
        ended: numbers of the trials that are known to have ended.
    """

    def __init__(self, metric: str, ended: Iterable[int]) -> None:
        self._metric = metric
        self._ended = set(ended)
        self._running: dict[int, int] = {}
        """The attempt under way, by number of the trial."""
        self._translations = {"trial": self._trial, "value": self._value}

    def __call__(self, event: "Event") -> Iterator[TrialEvent]:
        """What happened in the search."""
        translate = self._translations.get(event.kind)
        if translate is not None and event.data["number"] not in self._ended:
            yield from translate(event.data)

    def _trial(self, trial: Json) -> Iterator[TrialEvent]:
        number, state, attempt = trial["number"], trial["state"], trial["attempts"]
        if number in self._running and (state == "WAITING" or attempt != self._running[number]):
            del self._running[number]
            yield AttemptLost(number, "it was cut off")
        if number not in self._running and state != "WAITING":
            self._running[number] = attempt
            yield TrialStarted(number, trial["parameters"], trial["attributes"])
        if state in _ENDINGS:
            self._ended.add(number)
            yield _ENDINGS[state](trial)

    def _value(self, value: Json) -> Iterator[TrialEvent]:
        if value["metric"] == self._metric and value["number"] in self._running:
            yield TrialProgress(value["number"], value["step"], {value["metric"]: value["value"]})


def watch_study(console: Console, client: Client, study: Json) -> str:
    """Show a study until nothing will change any more; the state in which it has ended, or DELETED."""
    trials = list(client.list_trials(study["id"]))
    tally = Tally.of(study, trials)
    ended = [trial["number"] for trial in trials if trial["state"] in FINISHED_TRIALS]
    translate = Translator(tally.metric, ended)
    with search_display(console, tally) as display:
        for event in client.events(study["id"]):
            if event.kind == "end":
                break
            for happened in translate(event):
                display(happened)
    return str(event.data["state"])
