"""Writing checkpoints while the run goes on: each process copies what it holds, and a thread writes the copy.

All processes write into ``.step-N.partial``. Once every one has, the first renames the folder, points ``latest`` at it
and drops older ones. Whatever is killed at whatever moment, ``latest`` names a whole checkpoint.
"""

import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from model.errors import FormularyError
from model.llama_weights import file_names as llama_names
from trainer.cache import named_write_errors, write_atomically
from trainer.checkpoints import rows
from trainer.checkpoints.rounds import ROUNDS_FILE, rounds_tensors
from trainer.checkpoints.state import MOMENTS, NAME, STATE_FILE, CheckpointState, state_of
from trainer.loop import TrainingRun
from trainer.parallel.sharded import own_part
from trainer.parallel.world import Messages

KEPT = 2
"""Checkpoints that stay: the latest and the one before it."""

Tensors = dict[str, dict[str, Tensor]]
"""What a process holds, by kind of file and name in it."""


class CheckpointWriter:
    """Writes the checkpoints of one run into ``folder``; one at a time, so that at most one copy is held.

    Every process of the run must make one, and call ``save``, ``finish`` and ``close`` at the same steps.
    """

    def __init__(self, folder: Path, run: TrainingRun, config_key: str) -> None:
        self._folder, self._run, self._config_key = folder, run, config_key
        self._messages = Messages(run.world)  # of the thread alone: the order of calls is the order of checkpoints
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._copies: Tensors = {}
        self._rounds: dict[str, Tensor] = {}

    def save(self) -> None:
        """Copy the present step and begin to write it, after waiting for the one before.

        Raises:
            WriteFailed: that one could not be written; the checkpoints before stay as they are.
            OtherFailed: another process could not write its part.
        """
        self.finish()
        self._copy()
        self._writing = self._thread.submit(self._write, state_of(self._run, self._config_key))

    def check(self) -> None:
        """Raise what ``save`` would, if a write has failed by now."""
        if self._writing is not None and self._writing.done():
            self.finish()

    def finish(self) -> None:
        """Wait until the checkpoint that is being written is the latest; raises what ``save`` does."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """Wait for what is being written, whatever becomes of it."""
        self._thread.shutdown(wait=True)

    def _copy(self) -> None:
        """Fill the copies on the host; they are allocated once, in pinned memory where they come from a GPU."""
        pinned = self._run.device.type == "cuda"
        for kind, tensors in _tensors(self._run).items():
            copies = self._copies.setdefault(kind, {})
            for name, tensor in tensors.items():
                if name not in copies:
                    copies[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
                copies[name].copy_(tensor, non_blocking=True)
        if self._run.rounds is not None:
            self._rounds = rounds_tensors(self._run.rounds, self._run.progress.step)
        if pinned:
            torch.cuda.synchronize(self._run.device)

    def _write(self, state: CheckpointState) -> None:
        """Run in the thread: write, agree, publish."""
        world, target = self._run.world, self._folder / state.name
        partial = self._folder / f".{target.name}.partial"
        try:
            with named_write_errors(target):
                with self._messages.agreement():
                    if world.rank == 0:
                        shutil.rmtree(partial, ignore_errors=True)
                        partial.mkdir(parents=True)
                with self._messages.agreement():
                    for kind in rows.KINDS:
                        path = partial / rows.file_names(kind, world.size)[world.rank]
                        rows.write_rows(path, self._copies[kind], state.step)
                    if world.rank == 0 and state.rounds:
                        rows.write_rows(partial / ROUNDS_FILE, self._rounds, state.step)
                with self._messages.agreement():
                    if world.rank == 0:
                        self._publish(state, partial, target)
        except (OSError, FormularyError):
            if world.rank == 0:
                shutil.rmtree(partial, ignore_errors=True)
            raise

    def _publish(self, state: CheckpointState, partial: Path, target: Path) -> None:
        (partial / STATE_FILE).write_text(state.model_dump_json())
        _sync_folder(partial)
        if target.is_dir():
            shutil.rmtree(target)
        partial.replace(target)
        _sync_folder(self._folder)
        write_atomically(self._folder / "latest", target.name.encode())
        for old in sorted(path for path in self._folder.iterdir() if NAME.fullmatch(path.name))[:-KEPT]:
            shutil.rmtree(old)


def _tensors(run: TrainingRun) -> Tensors:
    network, optimizer = run.single.network, run.single.optimizer
    names = llama_names(network)
    weights = {names[name]: own_part(parameter) for name, parameter in network.named_parameters()}
    moments = {
        f"{name}.{moment}": own_part(optimizer.state[parameter][moment])
        for name, parameter in network.named_parameters()
        for moment in MOMENTS
    }
    return {"model": weights, "optimizer": moments}


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
