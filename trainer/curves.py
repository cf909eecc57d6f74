"""The curves of a run as TensorBoard reads them: ``tensorboard --logdir DIR/tensorboard``.

A run that goes on from step N writes another file, which begins by telling TensorBoard to forget what the files before
hold of later steps: the curve of a run that was killed is that of one that was not.
"""

import os
import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar

from model.errors import InvalidInput
from trainer.cache import named_write_errors
from trainer.results import StepResult
from trainer.setup import Meter, RunSetup

FLUSH_SECONDS = 10.0
"""Longest time that a point stays in memory (assumed)."""


class Curves:
    """Writes the points of one run; everything up to a checkpoint is on disk before the checkpoint is.

    Raises:
        InvalidInput: the folder is a link.
        WriteFailed: the disk is full.
    """

    def __init__(self, folder: Path, setup: RunSetup) -> None:
        if folder.is_symlink():
            raise InvalidInput("tensorboard", f"{folder} is a link", "replace it by a folder")
        with named_write_errors(folder):
            folder.mkdir(exist_ok=True)
        self._folder, self._setup = folder, setup
        self._meter, self._flushed = Meter(), time.monotonic()
        with named_write_errors(folder):
            self._writer = EventsWriter(str(folder / "run"), filename_suffix=f".{os.getpid()}.{setup.step}")
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=setup.step + 1, session_log=start))

    def add(self, result: StepResult) -> None:
        """The points of one step; those of a shorter run, which is forgotten, have curves of their own."""
        points = {"train/learning_rate": result.learning_rate}
        if result.train_loss_step == result.step:
            points["train/loss"] = result.train_loss
            points |= {} if result.kl is None else {"train/kl": result.kl}
        if self._setup.round_ends:
            points["train/round"] = self._setup.round_at(result.step)
        if not result.annealed:
            rate = self._meter.rate(result.tokens, result.seconds)
            points |= {"speed/tokens_per_second": rate, "speed/mfu": self._setup.utilisation(rate)}
        if result.evaluation is not None:
            points |= {
                "evaluation/bits_per_byte": result.evaluation.bits_per_byte,
                "evaluation/validation_loss": result.evaluation.validation_loss,
                **{f"parts/loss_{part}": loss for part, loss in result.evaluation.part_losses.items()},
            }
        prefix = "annealed/" if result.annealed else ""
        self.write({prefix + name: value for name, value in points.items()}, result.step)

    def write(self, points: dict[str, float], step: int) -> None:
        """Points by the names of their curves."""
        with named_write_errors(self._folder):
            for name, value in points.items():
                self._writer.write_event(Event(wall_time=time.time(), step=step, summary=scalar(name, value)))
            if time.monotonic() - self._flushed > FLUSH_SECONDS:
                self.flush()

    def flush(self) -> None:
        """Hand everything to the disk."""
        with named_write_errors(self._folder):
            self._writer.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Hand everything to the disk and close the file."""
        with named_write_errors(self._folder):
            self._writer.close()
