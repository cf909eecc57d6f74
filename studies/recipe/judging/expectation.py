"""The loss that a scaling law expects of the target, and how far the target lies from the best size for its compute."""

from model.config import ArchitectureConfig
from search.laws import FLOPS_PER_PARAMETER
from studies.recipe.basis import Basis
from studies.recipe.evidence import Expectation
from studies.recipe.fields.optimization import point_of
from studies.recipe.laws import OPTIMAL_LENGTH, OPTIMAL_SIZE, SCALING_KIND, ask, label


def expectation(basis: Basis, architecture: ArchitectureConfig, batch_tokens: int) -> Expectation | None:
    """L(N, D) with its interval; None without a scaling law that is determined and near."""
    point = point_of(basis, architecture, batch_tokens)
    found, _ = ask(basis, SCALING_KIND, "", point)
    if found is None:
        return None
    size = found.formula.size_convention
    compute = FLOPS_PER_PARAMETER * point.get(size, point["total_parameters"]) * point["train_tokens"]
    optima = [ask(basis, SCALING_KIND, variant, {"compute": compute})[0] for variant in (OPTIMAL_SIZE, OPTIMAL_LENGTH)]
    best_size, best_length = (None if optimum is None else optimum.value.estimate for optimum in optima)
    return Expectation(
        metric=basis.metric,
        estimate=found.value.estimate,
        low=found.value.low,
        high=found.value.high,
        optimal_parameters=best_size,
        optimal_tokens=best_length,
        basis=f"{label(found.formula)} ({found.formula.verdict}), {found.where}; parameters are {size}",
    )
