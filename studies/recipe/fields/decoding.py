"""How deep a network may be that decodes fast enough, from the speeds of trials on the same kind of device."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.config import MAX_DEPTH
from model.errors import InvalidInput
from studies.recipe.basis import Basis
from studies.recipe.recipe import figures
from studies.records import TrialState
from trainer.machine.accelerators import kind_of_device

Floats = NDArray[np.float64]
SPEED = "decode_tokens_per_second"
SAME_SIZE = 1.5
"""(assumed) Up to this factor in N outside the trials, the time of a token is that of the trials."""
MIN_TRIALS = 4
BOUND = 1.645
"""Standard deviations of a one-sided 95 % bound of the normal distribution."""


@dataclass(frozen=True, slots=True)
class DepthLimit:
    """The deepest network that decodes fast enough; None where that is not known."""

    depth: int | None
    note: str


def depth_limit(basis: Basis) -> DepthLimit | None:
    """What the target's floor of decoding speed allows; None where it asks for none.

    The time of a token is a line over depth at an equal budget, fitted by least squares; what counts is its upper
    bound for a single network (95 %, one-sided).

    Raises:
        InvalidInput: no depth is fast enough; names ``decode_tokens_per_second`` and what the trials reach.
    """
    floor = basis.target.decode_tokens_per_second
    if floor is None:
        return None
    rows = _measured(basis)
    problem = _problem(basis, rows)
    if problem:
        return DepthLimit(None, f"whether it decodes {figures(floor)} tokens/s is unknown: {problem}")
    depths = np.array([depth for depth, _ in rows])
    seconds = np.array([1 / speed for _, speed in rows])
    slowest = _slowest_times(depths, seconds)
    fast = np.flatnonzero(1 / slowest >= floor) + 1
    if not len(fast):
        best = figures(math.floor(1000 / slowest.min()) / 1000)
        reason = f"no depth decodes {figures(floor)} tokens/s at this size: one layer gives {best} (95 % bound)"
        raise InvalidInput(SPEED, reason, f"ask for at most {best}, or for a smaller model")
    return DepthLimit(int(fast[-1]), f"up to {fast[-1]} layers decode {figures(floor)} tokens/s (95 % bound)")


def _measured(basis: Basis) -> list[tuple[float, float]]:
    """Depth and speed of the trials on the target's kind of device; on the commonest where it names none."""
    found: dict[object, list[tuple[float, float]]] = {}
    for row in basis.observations:
        depth, speed = row.number_of("depth"), row.metrics.get(SPEED)
        if row.state is TrialState.COMPLETE and depth and speed and speed > 0:
            device = row.attributes.get("device")
            kind = kind_of_device(str(device)) if basis.target.gpu else device
            found.setdefault(kind, []).append((depth, speed))
    if basis.target.gpu:
        return found.get(basis.target.gpu, [])
    return max(found.values(), key=len, default=[])


def _problem(basis: Basis, rows: list[tuple[float, float]]) -> str:
    """Why the speeds say nothing about the target; empty where they do."""
    if len(rows) < MIN_TRIALS or len({depth for depth, _ in rows}) < 2:
        where = f" on {basis.target.gpu}" if basis.target.gpu else ""
        return f"{len(rows)} trials report {SPEED}{where}, and {MIN_TRIALS} of two depths or more are needed"
    if basis.factor > SAME_SIZE:
        return f"the target is ×{figures(basis.factor)} outside the sizes of the trials whose speed is known"
    return ""


def _slowest_times(depths: Floats, seconds: Floats) -> Floats:
    """Upper bound of the seconds of a token at each depth from 1 to ``MAX_DEPTH``."""
    design = np.vander(depths, 2, increasing=True)
    solution = np.linalg.lstsq(design, seconds, rcond=None)[0]
    slope = max(float(solution[1]), 0.0)
    level = float(np.mean(seconds - slope * depths))
    spread = math.sqrt(float(((seconds - level - slope * depths) ** 2).sum()) / max(len(depths) - 2, 1))
    every = np.arange(1, MAX_DEPTH + 1)
    leverage = 1 / len(depths) + (every - depths.mean()) ** 2 / ((depths - depths.mean()) ** 2).sum()
    bound: Floats = np.maximum(level + slope * every + BOUND * spread * np.sqrt(1 + leverage), 1e-12)
    return bound
