"""Which running trials stop early: pure rules, driven alike by Ray Tune (``search.schedulers``) and by a replay."""

from collections.abc import Callable

from search.settings import SchedulerSpec
from search.stopping.base import Never, StoppingRule
from search.stopping.halving import Asha, Hyperband

__all__ = ["Asha", "Hyperband", "Never", "StoppingRule", "stopping_rule"]


def stopping_rule(spec: SchedulerSpec, last: int, seed: int) -> StoppingRule:
    """The rule that ``spec`` names, for runs of ``last`` evaluations; ``seed`` is the sampler's."""
    return _RULES[spec.kind](spec, last, seed)


def _curve(spec: SchedulerSpec, last: int, seed: int) -> StoppingRule:
    from search.stopping.curve import Curve  # loads scipy, which other rules need not

    return Curve(last, spec.grace_evaluations, spec.least_chance)


_RULES: dict[str, Callable[[SchedulerSpec, int, int], StoppingRule]] = {
    "none": lambda spec, last, seed: Never(last),
    "asha": lambda spec, last, seed: Asha(last, spec.reduction_factor, spec.grace_evaluations),
    "hyperband": lambda spec, last, seed: Hyperband(last, spec.reduction_factor, spec.grace_evaluations, seed),
    "curve": _curve,
}
