"""Which arm to pull next: rules of stochastic bandits as pure functions of the feedback so far.

Feedback lies in [0, 1], larger is better. A rule gives every arm an index; the arm of the highest index is pulled, the
first of equals. Pulls whose feedback is still awaited count as pulls, so that parallel ones spread over the arms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NONE: Floats = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """What is known of one arm."""

    feedback: Floats = field(default_factory=lambda: _NONE)
    """Shape (told pulls,), in the order of the pulls."""
    pending: int = 0
    """Pulls whose feedback is awaited."""

    @property
    def pulls(self) -> int:
        """Pulls, told or not."""
        return len(self.feedback) + self.pending


class ArmRule(Protocol):
    """Chooses among arms by an index."""

    def indices(self, arms: Sequence[Arm]) -> Floats:
        """The index of each arm, shape (arms,); infinite for arms that must be tried first."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """As many pulls for every arm: the least pulled one is next."""

    def indices(self, arms: Sequence[Arm]) -> Floats:
        """Minus the pulls of each arm."""
        return -np.array([arm.pulls for arm in arms], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Ucb1:
    """UCB1 (Auer, Cesa-Bianchi and Fischer, Machine Learning 47, 2002, figure 1), which looks for the highest mean.

    Index: mean + √(2 ln n / T), with n pulls in all and T of the arm.
    """

    def indices(self, arms: Sequence[Arm]) -> Floats:
        """Upper confidence bounds of the means."""
        pulled = sum(arm.pulls for arm in arms)
        return np.array(
            [
                math.inf if arm.pulls == 0 else float(known.mean()) + math.sqrt(2 * math.log(pulled) / arm.pulls)
                for arm, known in zip(arms, _known(arms), strict=True)
            ]
        )


@dataclass(frozen=True, slots=True)
class SuccessiveElimination:
    """Pull the arms that can still have the highest mean in turn (Even-Dar, Mannor and Mansour, JMLR 7, 2006, alg. 3).

    With radius r(T) = √(ln(4 K T² / δ) / T) an arm is out when its mean + r lies below the largest mean − r. They drop
    an arm for good; here the test is made anew at each pull, from the feedback alone, which differs only where an
    interval has failed.
    """

    delta: float = 0.1
    """Probability that the best arm is dropped (assumed)."""

    def indices(self, arms: Sequence[Arm]) -> Floats:
        """Minus the pulls of an arm that is still in; of one that is out, far below all of these."""
        pulls = np.array([arm.pulls for arm in arms], dtype=np.float64)
        if (pulls == 0).any():
            return np.where(pulls == 0, math.inf, -pulls)
        means = np.array([known.mean() for known in _known(arms)])
        radius = np.sqrt(np.log(4 * len(arms) * pulls**2 / self.delta) / pulls)
        out = means + radius < (means - radius).max()
        return -pulls - np.where(out, 2 * pulls.sum(), 0.0)


@dataclass(frozen=True, slots=True)
class ErUcbStationary:
    """ER-UCB (arXiv 1905.13703; ER-UCB-S of doi 10.1109/TPAMI.2021.3094844), which looks for the best *extreme region*.

    Only the best feedback of a search matters, so arms are compared by what they reach with a small probability θ, not
    by their means: for feedback x with mean μ and deviation σ, μ + σ / √θ bounds that level from above (Cantelli's
    inequality: P(x ≥ μ + σ √((1 − θ) / θ)) ≤ θ). With shifted feedback y = x − β, whose second moment takes the place
    of the variance, the index in round t of an arm with T pulls is

        γ·mean(y) + √(mean(y²) / θ) + √(2 ln t / T) + √((1 / θ) √(2 ln t / T)).

    The first two terms are the level, γ weighing the mean in it; the last two are Hoeffding's radii of the two moments,
    √a + √b ≥ √(a + b) having split the second root. The paper proves a regret of O(K ln n) for K arms and n pulls.

    The paper's text could not be had beyond its first page: index and constants are read from the implementation that
    arXiv 2505.05226 published for its comparison, and the reasoning above is derived from them.
    """

    theta: float = 0.01
    beta: float = 0.6
    gamma: float = 20.0

    def indices(self, arms: Sequence[Arm]) -> Floats:
        """Upper confidence bounds of the extreme regions."""
        log_round = math.log(1 + sum(arm.pulls for arm in arms))
        return np.array(
            [
                math.inf if arm.pulls == 0 else self.level(known) + self._radius(log_round, arm.pulls)
                for arm, known in zip(arms, _known(arms), strict=True)
            ]
        )

    def level(self, feedback: Floats) -> float:
        """The level of the extreme region; of a large sample, that of its distribution."""
        shifted = feedback - self.beta
        return self.gamma * float(shifted.mean()) + math.sqrt(float((shifted**2).mean()) / self.theta)

    def _radius(self, log_round: float, pulls: int) -> float:
        radius = math.sqrt(2 * log_round / pulls)
        return radius + math.sqrt(radius / self.theta)


@dataclass(frozen=True, slots=True)
class OverMedian:
    """A rule on feedback of any unit: what each piece lies above the median of all, over what the best one does.

    So 0 is the median or worse and 1 the best (derived): a rule that prefers spread, as ER-UCB does, then sees only
    that towards the best, not that of runs gone wrong. With β = 0 the second moment grows with every piece, so that γ
    need not keep arms from being preferred for lying far below β. A failure, −∞, is the worst feedback.
    """

    rule: ArmRule

    def indices(self, arms: Sequence[Arm]) -> Floats:
        """The rule's indices of the scaled feedback."""
        told = np.concatenate([arm.feedback for arm in arms])
        finite = told[np.isfinite(told)]
        low, high = (float(np.median(finite)), float(finite.max())) if len(finite) else (0.0, 0.0)
        return self.rule.indices([Arm(_between(arm.feedback, low, high), arm.pending) for arm in arms])


def _between(feedback: Floats, low: float, high: float) -> Floats:
    """0 at ``low`` and below, 1 at ``high``; where the two are equal, 1 for all that reach them."""
    if low == high:
        return (feedback >= low).astype(np.float64)
    return (np.maximum(feedback, low) - low) / (high - low)


@dataclass(frozen=True, slots=True)
class ErUcbNonStationary:
    """ER-UCB-N (doi 10.1109/TPAMI.2021.3094844), for arms whose feedback rises while a search goes on below them.

    The j-th feedback of an arm is modelled as g(b₀ + b₁ j) with noise of deviation σ, where g(y) = 2 / (1 + e^(−s y))
    − 1 rises and levels off; b₀ and b₁ are fitted by least squares to g⁻¹ of the feedback, and σ is the root mean
    square of what remains. With A = Σ (j − mean(j))² and D(x) = x σ / √A + σ √(1 / T + mean(j)² / A), the index in
    round t of an arm with T pulls is

        γ·[g(b₀ + b₁ n) + √(σ² / θ)] + D(t) + √((D(T) + 1)·√(α ln t / (2 T))):

    the extreme region at the end of the search, n pulls, and the uncertainty of the fit. The paper proves a regret of
    O(K n^ν). As with :class:`ErUcbStationary`, index and constants are those of arXiv 2505.05226's implementation.
    """

    horizon: int
    """n, pulls of the whole search."""
    theta: float = 0.01
    gamma: float = 20.0
    alpha: float = 1.0
    first: int = 2
    """Pulls of each arm before any is preferred."""

    def indices(self, arms: Sequence[Arm]) -> Floats:
        """Upper confidence bounds of the extreme regions at the horizon."""
        rounds = 1 + sum(arm.pulls for arm in arms)
        return np.array(
            [
                math.inf if arm.pulls < self.first else self._index(known, arm.pulls, rounds)
                for arm, known in zip(arms, _known(arms), strict=True)
            ]
        )

    @property
    def _scale(self) -> float:
        """The scale s = 5 / n: the implementation's 0.025 at its 200 pulls, so that g comes near 1 at the horizon."""
        return 5 / self.horizon

    def _index(self, feedback: Floats, pulls: int, rounds: int) -> float:
        level, deviation, spread, middle = self._fit(feedback)
        told = len(feedback)
        offset = deviation * math.sqrt(1 / told + middle**2 / spread)
        slope = deviation / math.sqrt(spread)
        unfitted = math.sqrt(self.alpha * math.log(rounds) / (2 * pulls))
        uncertain = slope * rounds + offset + math.sqrt((slope * told + offset + 1) * unfitted)
        return self.gamma * (level + deviation / math.sqrt(self.theta)) + uncertain

    def _fit(self, feedback: Floats) -> tuple[float, float, float, float]:
        """The fitted feedback at the horizon, σ, A and mean(j)."""
        inside = 0.01 + 0.98 * feedback  # g⁻¹ is infinite at 1
        if len(inside) < 2:
            inside = np.repeat(inside, 2)
        index = np.arange(1, len(inside) + 1, dtype=np.float64)
        middle, straight = float(index.mean()), 2 * np.arctanh(inside) / self._scale
        spread = float(((index - middle) ** 2).sum())
        slope = float(((index - middle) * straight).sum()) / spread
        start = float(straight.mean()) - slope * middle
        remains = inside - np.tanh(self._scale / 2 * (start + slope * index))
        deviation = math.sqrt(float((remains**2).mean()))
        return math.tanh(self._scale / 2 * (start + slope * self.horizon)), deviation, spread, middle


def ranking(rule: ArmRule, arms: Sequence[Arm]) -> list[int]:
    """The arms by falling index, the first of equals first."""
    return [int(number) for number in np.argsort(-rule.indices(arms), kind="stable")]


def _known(arms: Sequence[Arm]) -> list[Floats]:
    """Each arm's feedback; while an arm has none, that of all arms together, and 0 while there is none at all."""
    told = np.concatenate([arm.feedback for arm in arms])
    everything = told if len(told) else np.zeros(1)
    return [arm.feedback if len(arm.feedback) else everything for arm in arms]
