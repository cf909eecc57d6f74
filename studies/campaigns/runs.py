"""From stored trials to what a ladder compares, and to what a campaign has cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from studies.campaigns.ladder import RungRuns
from studies.records import Study, Trial, TrialState
from trainer.errors import DIVERGED

METRIC = "bits_per_byte"
SECONDS = ("training_seconds", "evaluation_seconds", "decoding_seconds", "compilation_seconds")
"""Attributes that say how long a trial computed; a stack's are divided among its members."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a study has taken."""

    train_flops: float
    """Of its complete and stopped trials, forward and backward, cooldowns and a teacher among them."""
    inherit_flops: float
    """Of choosing what its trials inherit, each choice once; the parent's own training is its stage's."""
    device_seconds: float
    """Over all of its trials: training, evaluation, decoding and compilation."""
    wall_seconds: float | None
    """From its start to its end, or until now; None before it is begun."""

    @property
    def flops(self) -> float:
        """All of them."""
        return self.train_flops + self.inherit_flops


def rung_runs(label: str, seeds: Sequence[int], trials: Sequence[Trial], same_as_before: bool) -> RungRuns:
    """The runs of a rung at the ladder's seeds; trials at other seeds, which were added by hand, are not read."""
    values: dict[int, float] = {}
    diverged: set[int] = set()
    for trial in trials:
        seed = trial.parameters.get("seed")
        if not isinstance(seed, int) or seed not in seeds:
            continue
        if trial.state is TrialState.COMPLETE and METRIC in trial.metrics:
            values[seed] = trial.metrics[METRIC]
        elif trial.state is TrialState.FAIL and (trial.reason or "").startswith(DIVERGED):
            diverged.add(seed)
    missing = len(seeds) - len(values) - len(diverged)
    return RungRuns(label, values, frozenset(diverged), missing, same_as_before)


def cost_of(study: Study, trials: Sequence[Trial], now: datetime) -> Cost:
    """What a study has taken so far."""
    begun = study.started_at
    inherited = {
        str(trial.attributes["inheritance_key"]): _number(trial, "inherit_flops")
        for trial in trials
        if "inheritance_key" in trial.attributes
    }
    return Cost(
        train_flops=sum(_trained_flops(trial) for trial in trials),
        inherit_flops=sum(inherited.values()),
        device_seconds=sum(_number(trial, name) for trial in trials for name in SECONDS),
        wall_seconds=None if begun is None else ((study.finished_at or now) - begun).total_seconds(),
    )


def _trained_flops(trial: Trial) -> float:
    """What a trial spent, without choosing what it inherits: each trial counts that, and a study computes it once."""
    if "spent_flops" in trial.attributes:
        return _number(trial, "spent_flops") - _number(trial, "inherit_flops")
    return trial.metrics.get("train_flops", 0.0)


def _number(trial: Trial, name: str) -> float:
    value = trial.attributes.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
