"""Batches on the device; on a GPU the next one is gathered and copied while the present one is trained on."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.text.data import Batches


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's tokens of every member."""

    tokens_mbs: Tensor
    """(members, this process's sequences, S + 1) on the device."""
    text_bytes: list[int]
    """UTF-8 bytes of each member's predicted tokens, of all processes."""


class Feeder:
    """Gives the batch of any step; asked for the steps in order, it has the next one ready where ``ahead`` is set and
    it is settled what that one reads.

    Of each batch it gives the sequences ``part``, all of them where it is left out; the bytes are those of all.
    """

    def __init__(
        self,
        batches: Sequence[Batches],
        token_bytes: npt.NDArray[np.int64],
        device: torch.device,
        ahead: bool,
        part: slice = slice(None),
    ) -> None:
        self._batches, self._token_bytes, self._device, self._part = batches, token_bytes, device, part
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="feeder") if ahead else None
        self._next: tuple[int, Future[Batch]] | None = None

    def take(self, step: int) -> Batch:
        """The batch of ``step``, counted from 1."""
        prepared, self._next = self._next, None
        batch = prepared[1].result() if prepared and prepared[0] == step else self._gather(step)
        if self._thread is not None and all(batches.is_known(step + 1) for batches in self._batches):
            self._next = step + 1, self._thread.submit(self._gather, step + 1)
        return batch

    def _gather(self, step: int) -> Batch:
        tokens_mbs = np.stack([batches.batch(step) for batches in self._batches])
        text_bytes = self._token_bytes[tokens_mbs[..., 1:]].sum(axis=(1, 2)).tolist()
        host_mbs = torch.from_numpy(tokens_mbs[:, self._part])
        if self._device.type == "cuda":
            host_mbs = host_mbs.pin_memory()
        return Batch(host_mbs.to(self._device, non_blocking=True), text_bytes)
