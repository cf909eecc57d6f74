"""The processes of one training run, and what they tell one another.

Tensors of the training step travel through the process group of ``torch.distributed`` that somebody else has set up
(Ray Train, or a test). Everything else is short text, on groups of its own that work without a GPU.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from model.errors import InvalidInput
from trainer.parallel.messages import as_error, as_text

PATIENCE = timedelta(days=1)
"""How long a process waits for the others' messages (assumed: the first one may be cutting a large corpus into tokens).
One that dies is noticed at once."""
MESSAGE_BYTES = 8192
"""Longest text of a message; longer ones are cut (assumed: an error's parts are at most 2200 characters)."""


@dataclass(frozen=True, slots=True)
class World:
    """What one process knows about all of them."""

    rank: int
    """Which of them it is, counted from 0."""
    size: int
    device: torch.device
    """Where its part of the network is."""
    backend: str
    """Of the group that tensors of the step travel through: ``gloo``, ``nccl``, or ``none`` for one process."""

    @property
    def on_this_host(self) -> int:
        """Processes on this host: ``LOCAL_WORLD_SIZE``, which Ray Train and torchrun set; all, where nobody has."""
        return min(int(os.environ.get("LOCAL_WORLD_SIZE", self.size)), self.size)

    def share(self, count: int) -> slice:
        """The part of this process of ``count`` things, a multiple of ``size``; the parts follow one another."""
        own = count // self.size
        return slice(self.rank * own, (self.rank + 1) * own)

    def rows(self, count: int) -> slice:
        """The rows of this process of a tensor of ``count`` rows: as ``torch.chunk`` cuts it, and so FSDP2."""
        own = -(-count // self.size)
        return slice(min(self.rank * own, count), min((self.rank + 1) * own, count))

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes; a collective call, unless there is one process."""
        if self.size > 1:
            tensor = tensor.clone()
            dist.all_reduce(tensor)
        return tensor

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over all processes; a collective call, unless there is one process."""
        return self.sum(tensor) / self.size if self.size > 1 else tensor

    def of_first(self, tensor: Tensor) -> Tensor:
        """The tensor of the first process; a collective call, unless there is one process."""
        if self.size > 1:
            tensor = tensor.clone()
            dist.broadcast(tensor, src=0)
        return tensor


def alone() -> World:
    """The world of a process that trains by itself, on its GPU where it has one."""
    return World(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"), "none")


def current_world(device: torch.device | None = None) -> World:
    """The world of this process: that of ``torch.distributed`` where it has been initialised, else itself.

    ``device``, where it is a GPU, becomes the one that this process allocates on.

    Raises:
        InvalidInput: the network would be on GPUs whose tensors the group's backend moves through the host.
    """
    own = alone()
    if device is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return own if device is None else World(0, 1, device, "none")
    world = World(dist.get_rank(), dist.get_world_size(), device or own.device, dist.get_backend())
    if world.device.type == "cuda" and world.backend != "nccl":
        reason = f"{world.backend} would move every gradient between GPUs through the host"
        raise InvalidInput("backend", reason, "use nccl")
    return world


class Messages:
    """Short texts between the processes of a world, whose every process must make and call it in the same order."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._group = dist.new_group(backend="gloo", timeout=PATIENCE) if world.size > 1 else None

    def gather(self, text: str) -> list[str]:
        """The texts of all processes, by rank."""
        if self._group is None:
            return [text]
        content = text.encode()[:MESSAGE_BYTES]
        own = torch.zeros(MESSAGE_BYTES, dtype=torch.uint8)
        own[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        all_texts = [torch.empty_like(own) for _ in range(self._world.size)]
        dist.all_gather(all_texts, own, group=self._group)
        return [bytes(each.tolist()).rstrip(b"\0").decode(errors="replace") for each in all_texts]

    @contextmanager
    def agreement(self) -> Iterator[None]:
        """Let all processes fail where one of them does in the block, which holds no collective call.

        Raises:
            InvalidInput, TrainingDiverged, OtherFailed: the others' errors; of more than one, that of the lowest rank.
        """
        if self._group is None:
            yield
            return
        try:
            yield
        except Exception as error:
            self.gather(as_text(error))
            raise
        failed = [text for text in self.gather("") if text]
        if failed:
            raise as_error(failed[0])

    def first(self, text: str) -> str:
        """The text of the first process."""
        return self.gather(text)[0]

    def check_same(self, text: str, field: str, reason: str, remedy: str) -> None:
        """Check that all processes say the same.

        Raises:
            InvalidInput: with ``field``, ``reason`` and ``remedy``, in every process.
        """
        if len(set(self.gather(text))) > 1:
            raise InvalidInput(field, reason, remedy)
