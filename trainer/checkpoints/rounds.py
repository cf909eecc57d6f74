"""What a checkpoint keeps of a run in rounds: the losses of batches so far, and which batches later rounds train on.

One file of the first process, for all: every process holds the same. What is read comes from a file that nobody has
checked, and decides which places of the corpus are read.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import Tensor

from model.errors import InvalidInput
from trainer.checkpoints.rows import REMEDY, opened
from trainer.rounds.batches import Order
from trainer.rounds.choosing import Rounds

ROUNDS_FILE = "rounds.safetensors"
DTYPES = {"losses": "F32", "orders": "I32", "gains": "F64"}
"""Losses of the batches of the first round; batches of each later round, counted from 0; ``RoundBatches.gains``."""


def rounds_tensors(rounds: Rounds, step: int) -> dict[str, Tensor]:
    """Copies of the losses and choices of the one member, of shapes that do not change in a run; a collective call."""
    rounds.read(step)
    plan, batches = rounds.plan, rounds.batches[0]
    orders, gains = np.zeros((plan.rounds - 1, plan.later_steps), np.int32), np.zeros(plan.rounds - 1)
    for number, order in batches.orders.items():
        orders[number - 2], gains[number - 2] = order, batches.gains.get(number, 0.0)
    found = {"orders": orders, "gains": gains}
    if rounds.record is not None:
        found["losses"] = rounds.record.losses[0].copy()
    return {name: torch.from_numpy(values) for name, values in found.items()}


def read_rounds(rounds: Rounds, folder: Path, step: int) -> None:
    """Go on from what a checkpoint of ``step`` says.

    Raises:
        InvalidInput: the file cannot be read, is another step's, or holds what no run of these rounds comes to.
    """
    path = folder / ROUNDS_FILE
    found = _read(path, step, _shapes(rounds))
    plan, batches = rounds.plan, rounds.batches[0]
    if not np.isfinite(found["gains"][: plan.ended_rounds(step)]).all():
        raise InvalidInput("checkpoints", f"{path} holds gains of rounds that are not finite", REMEDY)
    for number in range(2, plan.ended_rounds(step) + 2):
        order = found["orders"][number - 2].astype(np.int32)
        _check_order(path, rounds, order, number)
        batches.orders[number] = order
        if rounds.record is not None:
            batches.gains[number] = float(found["gains"][number - 2])
    if rounds.record is not None:
        _check_losses(path, rounds, found["losses"], step)
        rounds.record.losses[0] = found["losses"]
    rounds.go_on(step)


def _shapes(rounds: Rounds) -> dict[str, list[int]]:
    plan = rounds.plan
    losses = {"losses": [plan.first_steps]} if rounds.record is not None else {}
    return {**losses, "orders": [plan.rounds - 1, plan.later_steps], "gains": [plan.rounds - 1]}


def _read(path: Path, step: int, shapes: dict[str, list[int]]) -> dict[str, npt.NDArray[np.generic]]:
    with opened(path, step) as file:
        headers = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (the file is not a mapping)
        found = {name: (header.get_dtype(), header.get_shape()) for name, header in headers.items()}
        if found != {name: (DTYPES[name], shape) for name, shape in shapes.items()}:
            raise InvalidInput("checkpoints", f"{path} is not of these rounds", REMEDY)
        try:
            return {name: file.get_tensor(name).numpy() for name in shapes}
        except (OSError, SafetensorError) as error:
            raise InvalidInput("checkpoints", f"{path} cannot be read ({error})", REMEDY) from error


def _check_order(path: Path, rounds: Rounds, order: Order, number: int) -> None:
    """Check that a round takes from each part in turn as many different batches as it should."""
    bounds, ends = rounds.plan.part_bounds, np.cumsum([0, *rounds.plan.taken])
    for part, (low, high) in enumerate(pairwise(bounds)):
        taken = order[ends[part] : ends[part + 1]]
        if np.unique(taken).size < taken.size or taken.min() < low or taken.max() >= high:
            reason = f"round {number} of {path} takes other batches from part {part + 1} than it could have"
            raise InvalidInput("checkpoints", reason, REMEDY)


def _check_losses(path: Path, rounds: Rounds, losses: npt.NDArray[np.generic], step: int) -> None:
    """Check that those of batches that have a loss by ``step`` are finite."""
    at_end = rounds.config.measures_at_end
    recorded = len(losses) if rounds.plan.ended_rounds(step) else 0 if at_end else step
    if not np.isfinite(losses[:recorded]).all():
        raise InvalidInput("checkpoints", f"{path} holds losses that are not finite", REMEDY)
