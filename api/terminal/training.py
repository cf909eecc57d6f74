"""What a training run shows: how it was set up, a bar or lines of its steps, and what came of it."""

import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.terminal.consoles import printable
from trainer.results import StepResult
from trainer.setup import Meter, RunSetup

LINE_EVERY_S = 10.0
"""Pause between two plain lines (assumed)."""


class TrainingDisplay:
    """Follows one run, through all of its starts."""

    def __init__(self, console: Console, max_steps: int | None) -> None:
        self._console, self._max_steps = console, max_steps
        self._setup: RunSetup | None = None
        self._meter, self._spoken = Meter(), 0.0
        self.first: StepResult | None = None
        self.last: StepResult | None = None

    def started(self, setup: RunSetup) -> None:
        """Say how the run was set up; once more after a process was lost."""
        if self._setup is not None:
            self._say(f"a process was lost; going on from step {setup.step}")
        else:
            self._say(setup.sentence())
            for line in setup.lines:
                self._say(printable(line))
            if setup.step:
                self._say(f"going on from step {setup.step}")
        self._setup, self._meter, self._spoken = setup, Meter(), time.monotonic()

    def waiting(self, said: str) -> None:
        """Say why nothing happens yet."""
        self._say(said)

    def follow(self, steps: Iterator[StepResult]) -> None:
        """Show the run until it ends."""
        with self._console.status("preparing the data …"):
            result = next(steps, None)
        if result is None:
            return
        self.first = result
        total = min(result.steps, self._max_steps or result.steps)
        with _bar(self._console) as progress:
            task = progress.add_task(self._line(result), total=total, completed=result.step)
            self.last = result
            for result in steps:
                self.last = result
                line = self._line(result)
                progress.update(task, completed=result.step, description=line)
                self._speak(result, total, line)

    def report(self, console: Console) -> None:
        """Say what came of the steps that were followed."""
        if self.first is None or self.last is None:
            return
        count = self.last.step - self.first.step + 1
        speed = f"{self.last.tokens / max(self.last.seconds, 1e-9):,.0f} tokens/s"
        console.print(f"loss {self.first.train_loss:.2f} -> {self.last.train_loss:.2f} over {count} steps ({speed})")
        if self.last.evaluation is not None:
            console.print(f"bits per byte {self.last.evaluation.bits_per_byte:.3f} on the validation text")

    def _speak(self, result: StepResult, total: int, line: str) -> None:
        """Without a terminal, a line from time to time, with the time that is left at the present rate."""
        if self._console.is_terminal or time.monotonic() - self._spoken < LINE_EVERY_S:
            return
        self._spoken = time.monotonic()
        left = (total - result.step) * result.tokens / result.step / max(self._meter.latest, 1e-9)
        self._say(f"step {result.step} of {total}: {line}, {duration(left)} left")

    def _line(self, result: StepResult) -> str:
        rate, setup = self._meter.rate(result.tokens, result.seconds), self._setup
        used = "" if setup is None else f", MFU {setup.utilisation(rate):.1%}"
        return f"{_round(setup, result.step)}loss {result.train_loss:.3f}, {rate:,.0f} tokens/s{used}"

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _round(setup: RunSetup | None, step: int) -> str:
    """The round of a step, where there are several."""
    if setup is None or not setup.round_ends:
        return ""
    return f"round {setup.round_at(step)} of {len(setup.round_ends)}, "


def duration(seconds: float) -> str:
    """A time in words: its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((index for index, (count, _) in enumerate(units) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2])


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("step"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)
