"""Which batches of the first round a later one trains on, and in what order; numpy only."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from trainer.rounds.config import RoundSelection
from trainer.rounds.plan import RoundPlan

SELECTION_STREAM = 1
"""First entry of the spawn keys of the generators below, which tells them from a run's other draws."""

Floats = npt.NDArray[np.floating]


def _by_loss(losses: Floats, random: np.random.Generator) -> Floats:
    return losses.astype(np.float64) + random.gumbel(size=losses.size)


def _uniform(losses: Floats, random: np.random.Generator) -> Floats:
    return random.gumbel(size=losses.size)


def _top_loss(losses: Floats, random: np.random.Generator) -> Floats:
    return losses


_KEYS: Mapping[RoundSelection, Callable[[Floats, np.random.Generator], Floats]] = {
    "loss": _by_loss,
    "uniform": _uniform,
    "top_loss": _top_loss,
}
"""A number for each batch; those of the largest numbers are taken.

The k largest of l_i + G_i with standard Gumbel noise G are k draws without replacement with p_i = exp(l_i) / Σ exp(l_j)
among those that are left (arXiv 1903.06059, section 2.3). Nothing is exponentiated, and a constant added to all losses
changes nothing."""


def select_round(
    losses: Floats, plan: RoundPlan, selection: RoundSelection, seed: int, number: int
) -> npt.NDArray[np.int32]:
    """Choose the batches of a later round from each part of the first one; a pure function of its arguments.

    Args:
        losses: latest loss of each batch of the first round, nats per token; NaN counts as the lowest. Read by ``loss``
            and ``top_loss``.
        plan: how many each part has and gives.
        selection: any but ``fresh``.
        seed: the run's.
        number: of the round, counted from 1; from 2.

    Returns:
        Batches counted from 0, in the order of training: part after part as in the first round, shuffled inside each.
    """
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SELECTION_STREAM, number)))
    bounds, order = plan.part_bounds, np.empty(plan.later_steps, dtype=np.int32)
    filled = 0
    for low, high, count in zip(bounds, bounds[1:], plan.taken, strict=False):
        chosen = _largest(_KEYS[selection](losses[low:high], random), count)
        random.shuffle(chosen)
        order[filled : filled + count] = low + chosen
        filled += count
    return order


def _largest(keys: Floats, count: int) -> npt.NDArray[np.intp]:
    """Places of the ``count`` largest keys, ascending; of equal ones, the first."""
    return np.sort(np.argsort(-keys, kind="stable")[:count])
