"""What being wrong about a recommended value costs, from the curves that the laws and the trials give."""

from collections.abc import Callable, Iterator, Mapping

from studies.recipe.evidence import RegretCurve
from studies.recipe.judging.regret.asked import Asked
from studies.recipe.judging.regret.laws import over_depth, over_ffn_width, over_vocabulary, over_width
from studies.recipe.judging.regret.trials import over_batch, over_levels, over_rate

CURVES: Mapping[str, Callable[[Asked, str], RegretCurve]] = {
    "architecture.depth": over_depth,
    "architecture.width": over_width,
    "architecture.ffn_width": over_ffn_width,
    "architecture.vocabulary_size": over_vocabulary,
    "architecture.head_dim": over_levels,
    "optimization.learning_rate": over_rate,
    "optimization.batch_tokens": over_batch,
    "optimization.warmup_tokens": over_levels,
    "optimization.weight_decay": over_levels,
    "initialization.scheme": over_levels,
    "initialization.std": over_levels,
}
"""The values that a recipe recommends, by their fields."""


def regret_curves(asked: Asked) -> Iterator[RegretCurve]:
    """A curve for each recommended value, known or not."""
    return (make(asked, name) for name, make in CURVES.items())


__all__ = ["CURVES", "Asked", "regret_curves"]
