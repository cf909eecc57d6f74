"""Batch and learning rate: from the law where it is decided and near, else measured, else published."""

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from studies.recipe.basis import REACH, Basis
from studies.recipe.defaults import (
    DEEPSEEK_LAW,
    compute_flops,
    default_batch_tokens,
    default_learning_rate,
)
from studies.recipe.laws import label, usable_batch_law
from studies.recipe.recipe import RecipeField, default_field, derived_field, figures, formula_field, placed
from trainer.plan import MIN_STEPS

BATCH_REACH = 4.0
"""(assumed) How far outside its batches the law may be evaluated. Above the noise scale the power law bends
(arXiv 1812.06162), so a long extension is wrong in a known direction."""
BATCH = "optimization.batch_tokens"
RATE = "optimization.learning_rate"


def check_tokens(tokens: int, sequence_length: int) -> None:
    """Refuse runs too short for any batch.

    Raises:
        InvalidInput: names ``tokens`` and the least that is needed.
    """
    least = MIN_STEPS * sequence_length
    if tokens < least:
        raise InvalidInput(
            "tokens", f"{tokens} tokens are fewer than {MIN_STEPS} steps of one sequence", f"ask for at least {least}"
        )


def choose_batch(basis: Basis, architecture: ArchitectureConfig) -> RecipeField:
    """The best trial's batch where it is in reach, else the published one; cut where the run is too short for it."""
    field = _full_batch(basis, architecture)
    length = architecture.sequence_length
    largest = basis.target.tokens // MIN_STEPS // length * length
    batch = field.whole
    if batch <= largest:
        return field
    note = f"{batch} tokens ({field.reference}) would leave fewer than {MIN_STEPS} steps"
    return derived_field(BATCH, largest, "length and sequence_length", note)


def _full_batch(basis: Basis, architecture: ArchitectureConfig) -> RecipeField:
    if basis.in_reach:
        return basis.inherit(BATCH)
    compute = compute_flops(architecture, basis.target.tokens)
    sequences = max(round(default_batch_tokens(compute) / architecture.sequence_length), 1)
    note = f"0.2920·C^0.3271 below 4M, in whole sequences, at C = {figures(compute)} FLOPs"
    reference = f"{DEEPSEEK_LAW}; PanGu-π Pro, F5"
    return default_field(BATCH, sequences * architecture.sequence_length, reference, note)


def choose_learning_rate(basis: Basis, architecture: ArchitectureConfig, batch_tokens: int) -> RecipeField:
    """The law's rate at the batch where it is decided and near; else the best trial's; else the published one.

    The published one holds under the standard parametrisation; muP keeps the trial's rate at every width instead
    (arXiv 2203.03466, section 4).
    """
    law, reason = usable_batch_law(basis.formulas)
    if law is not None:
        distance, size_distance = law.distance(batch_tokens), law.size_distance(basis.target.total_parameters)
        where = f"{placed(distance, 'its batches')}, {placed(size_distance, 'its sizes')}"
        if distance <= BATCH_REACH and size_distance <= REACH:
            note = f"at {batch_tokens} tokens a batch, {where}"
            return formula_field(RATE, law.rate(batch_tokens), law.formula, note)
        reason = f"{label(law.formula)} is not used: {where}"
    if architecture.parametrisation == "mup":
        return _rate_of_trial(basis, batch_tokens, f"{reason}; muP keeps the best rate over width")
    if basis.in_reach:
        return _rate_of_trial(basis, batch_tokens, reason)
    compute = compute_flops(architecture, basis.target.tokens)
    note = f"{reason}; 0.3118·C^-0.1250 at C = {figures(compute)} FLOPs"
    value = float(f"{default_learning_rate(compute):.4g}")
    return default_field(RATE, value, DEEPSEEK_LAW, note)


def _rate_of_trial(basis: Basis, batch_tokens: int, reason: str) -> RecipeField:
    batch = basis.config.optimization.batch_tokens
    other = "" if batch == batch_tokens else f", not at this recipe's {batch_tokens}"
    return basis.inherit(RATE, f"{reason}; the rate of the best trial at {batch} tokens a batch{other}")
