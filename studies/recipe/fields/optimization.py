"""Batch and learning rate: from laws where they are determined and near, else measured, else published."""

from model.config import ArchitectureConfig
from model.counts import count_parameters
from model.errors import InvalidInput
from studies.recipe.basis import Basis
from studies.recipe.defaults import (
    DEEPSEEK_LAW,
    compute_flops,
    default_batch_tokens,
    default_learning_rate,
)
from studies.recipe.laws import BEST_BATCH, JOINT_RATE, RATE_KIND, Use, ask, newest
from studies.recipe.recipe import RecipeField, default_field, derived_field, figures, formula_field
from trainer.plan import MIN_STEPS

BATCH = "optimization.batch_tokens"
RATE = "optimization.learning_rate"
SIZE_AND_BATCH = ("batch_tokens", "total_parameters")


def point_of(basis: Basis, architecture: ArchitectureConfig, batch_tokens: int | None = None) -> dict[str, float]:
    """The target in the variables of laws; without the batch where it is still to be chosen."""
    counts = count_parameters(architecture)
    point = {
        "batch_tokens": float(batch_tokens or 0),
        "total_parameters": float(basis.target.total_parameters),
        "non_embedding_parameters": float(counts.non_embedding),
        "train_tokens": float(basis.target.tokens),
        "depth": float(architecture.depth),
        "width": float(architecture.width),
        "ffn_ratio": architecture.ffn_ratio,
        "vocabulary_size": float(architecture.vocabulary_size),
    }
    return point if batch_tokens else {name: value for name, value in point.items() if name != "batch_tokens"}


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
    """B*(D) where the law is determined and near, else the best trial's batch, else the published one.

    It is cut where the target caps it or the run is too short for it, and holds as many sequences for each GPU.

    Raises:
        InvalidInput: the cap is below one sequence, names ``max_batch_tokens``; or there are more GPUs than sequences
            in the batch, names ``gpus``.
    """
    field = _full_batch(basis, architecture)
    length, target = architecture.sequence_length, basis.target
    if target.max_batch_tokens is not None and target.max_batch_tokens < length:
        reason = f"{target.max_batch_tokens} tokens are less than one sequence of {length}"
        raise InvalidInput("max_batch_tokens", reason, f"allow at least {length}")
    limits = {f"would leave fewer than {MIN_STEPS} steps": target.tokens // MIN_STEPS}
    if target.max_batch_tokens is not None:
        limits["is above max_batch_tokens"] = target.max_batch_tokens
    reason = min(limits, key=lambda name: limits[name])
    cut = min(field.whole, limits[reason] // length * length)
    even = _shared_evenly(cut, limits[reason] // length, length, target.gpu_count or 1)
    if even == field.whole:
        return field
    words = reason if cut < field.whole else f"is no whole number of sequences on each of {target.gpu_count} GPUs"
    return derived_field(BATCH, even, _reference(words), f"{field.whole} tokens ({field.reference}) {words}")


def _reference(words: str) -> str:
    return (
        "max_batch_tokens"
        if "max_batch_tokens" in words
        else "gpus"
        if "GPUs" in words
        else "length and sequence_length"
    )


def _shared_evenly(batch: int, most: int, length: int, gpus: int) -> int:
    """The batch nearest to ``batch`` that gives every GPU as many sequences, one at least, and at most ``most`` in all.

    Raises:
        InvalidInput: ``most`` sequences are fewer than the GPUs.
    """
    if most < gpus:
        reason = f"a batch can hold {most} sequences of {length} tokens at most, fewer than {gpus} GPUs"
        raise InvalidInput("gpus", reason, f"ask for at most {most}, or allow larger batches or a longer run")
    each = max(round(batch / length / gpus), 1)
    return (each if each * gpus <= most else most // gpus) * gpus * length


def _full_batch(basis: Basis, architecture: ArchitectureConfig) -> RecipeField:
    length = architecture.sequence_length
    found, reason = ask(basis, RATE_KIND, BEST_BATCH, point_of(basis, architecture))
    if found is not None:
        sequences = max(round(found.value.estimate / length), 1)
        note = f"{figures(found.value.estimate)} tokens ({found.interval}), {found.where or 'at every length'}"
        return formula_field(BATCH, sequences * length, found.formula, f"{note}; in whole sequences")
    if basis.in_reach:
        return basis.inherit(BATCH, "" if newest(basis.formulas, RATE_KIND, BEST_BATCH) is None else reason)
    compute = compute_flops(architecture, basis.target.tokens)
    sequences = max(round(default_batch_tokens(compute) / length), 1)
    note = f"0.2920·C^0.3271 below 4M, in whole sequences, at C = {figures(compute)} FLOPs"
    return default_field(BATCH, sequences * length, f"{DEEPSEEK_LAW}; PanGu-π Pro, F5", note)


def choose_learning_rate(basis: Basis, architecture: ArchitectureConfig, batch_tokens: int) -> RecipeField:
    """The law's rate at the batch where it is determined and near; else the best trial's; else the published one.

    The joint law lr*(N, D, B) comes first: it is the only one that knows another size, and a batch that is not the
    best. The published one holds under the standard parametrisation; muP keeps the trial's rate at every width instead
    (arXiv 2203.03466, section 4).
    """
    found, reason = rate_law(basis, architecture, batch_tokens)
    if found is not None:
        note = f"at {batch_tokens} tokens a batch, {found.where}"
        return formula_field(RATE, float(f"{found.value.estimate:.3g}"), found.formula, note)
    if architecture.parametrisation == "mup":
        return _rate_of_trial(basis, batch_tokens, f"{reason}; muP keeps the best rate over width")
    if basis.in_reach:
        return _rate_of_trial(basis, batch_tokens, reason)
    compute = compute_flops(architecture, basis.target.tokens)
    note = f"{reason}; 0.3118·C^-0.1250 at C = {figures(compute)} FLOPs"
    value = float(f"{default_learning_rate(compute):.4g}")
    return default_field(RATE, value, DEEPSEEK_LAW, note)


def rate_law(basis: Basis, architecture: ArchitectureConfig, batch_tokens: int) -> tuple[Use | None, str]:
    """The law that gives the rate, evaluated at the target; or None and why there is none.

    The joint law comes first, then the law over the batch alone.
    """
    point = point_of(basis, architecture, batch_tokens)
    asked = {name: ask(basis, RATE_KIND, name, point, SIZE_AND_BATCH) for name in (JOINT_RATE, "")}
    reasons = [reason for name, (_, reason) in asked.items() if not name or newest(basis.formulas, RATE_KIND, name)]
    return next((law for law, _ in asked.values() if law is not None), None), "; ".join(reasons)


def _rate_of_trial(basis: Basis, batch_tokens: int, reason: str) -> RecipeField:
    batch = basis.config.optimization.batch_tokens
    other = "" if batch == batch_tokens else f", not at this recipe's {batch_tokens}"
    what = "best trial" if basis.number is not None else "starting config"
    return basis.inherit(RATE, f"{reason}; the rate of the {what} at {batch} tokens a batch{other}")
