"""What the run takes: memory of each GPU, FLOPs, days."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace

from model.counts import count_parameters, embedding_share, training_flops_per_token
from model.errors import InvalidInput
from studies.recipe.basis import Basis
from studies.recipe.evidence import Prediction
from studies.recipe.recipe import RecipeField, derived_field, figures
from studies.recipe.target import MAX_GPUS
from studies.records import TrialState
from trainer.config import PretrainConfig
from trainer.machine.accelerators import ACCELERATORS, kind_of_device
from trainer.machine.memory_estimate import MemoryEstimate, estimate_memory, gib

USABLE_MEMORY = 0.92
"""Share of a GPU's nominal memory that a run can fill (assumed: context and buffers of collectives take some)."""
ASSUMED_MFU = (0.30, 0.50)
"""(assumed) Of dense networks of this kind on data-centre GPUs; PaLM reached 0.46 (arXiv 2204.02311, table 3)."""
SIMILAR_SIZE = 2.0
"""Trials within this factor of the largest one speak of its speed (assumed)."""
MICRO_BATCH = "micro_batch_tokens"
SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Utilisation:
    """Model FLOPs utilisation, low and high, and where it comes from."""

    ends: tuple[float, float]
    basis: str


def choose_micro_batch(basis: Basis, config: PretrainConfig) -> RecipeField | None:
    """The largest forward pass that fits, in whole sequences; None where the usual one does, or nothing is known.

    Raises:
        InvalidInput: not even one sequence fits; names ``gpus`` and what would do.
    """
    limit = _memory_limit(basis)
    if limit is None:
        return None
    length, usual = config.architecture.sequence_length, _micro_batch(basis, config)
    sizes = [usual // 2**halving // length * length for halving in range(usual.bit_length())]
    for tokens in (size for size in sizes if size):
        if _peak(basis, config, tokens) <= limit:
            note = f"{config.micro_batch_tokens} tokens would not fit into {gib(limit)}"
            return None if tokens == usual else derived_field(MICRO_BATCH, tokens, "gpus, gpu_memory_gib", note)
    raise _too_large(basis, config, limit)


def predict(basis: Basis, config: PretrainConfig) -> Prediction:
    """Everything that follows from the config and the machines of the target."""
    architecture, target = config.architecture, basis.target
    counts = count_parameters(architecture)
    flops = float(training_flops_per_token(architecture)) * target.tokens
    utilisation, days = _utilisation(basis), None
    if utilisation and target.peak_flops and target.gpu_count:
        whole = flops / (target.gpu_count * target.peak_flops) / SECONDS_A_DAY
        days = (whole / utilisation.ends[1], whole / utilisation.ends[0])
    return Prediction(
        total_parameters=counts.total,
        non_embedding_parameters=counts.non_embedding,
        embedding_share=embedding_share(architecture),
        steps=round(target.tokens / config.optimization.batch_tokens),
        train_flops=flops,
        gpus=target.gpu_count,
        memory_bytes=_peak(basis, config, _micro_batch(basis, config)),
        memory_limit_bytes=_memory_limit(basis),
        memory_basis=_memory_basis(basis, config),
        mfu=utilisation.ends if utilisation else None,
        mfu_basis=utilisation.basis if utilisation else "the target names no GPU whose FLOPs are known",
        days=days,
    )


def _micro_batch(basis: Basis, config: PretrainConfig) -> int:
    """Tokens of one forward pass on one GPU: whole sequences, no more than its share of the batch."""
    length = config.architecture.sequence_length
    each = config.optimization.batch_tokens // (basis.target.gpu_count or 1)
    return max(min(config.micro_batch_tokens, each) // length, 1) * length


def _estimate(basis: Basis, config: PretrainConfig, micro_batch_tokens: int) -> MemoryEstimate:
    """Of one GPU; weights, gradients and moments are cut among all of them (``trainer.parallel``)."""
    gpus = basis.target.gpu_count or 1
    return estimate_memory(config, micro_batch_tokens, "sdpa", "bfloat16", "cuda", processes=gpus)


def _peak(basis: Basis, config: PretrainConfig, micro_batch_tokens: int) -> float:
    """Bytes of one GPU."""
    return _estimate(basis, config, micro_batch_tokens).total


def _memory_limit(basis: Basis) -> float | None:
    memory = basis.target.memory_gib
    return None if memory is None else memory * 2**30 * USABLE_MEMORY


def _memory_basis(basis: Basis, config: PretrainConfig) -> str:
    gpus = basis.target.gpu_count or 1
    shared = f", cut among {gpus} GPUs" if gpus > 1 else ""
    passes = f"forward passes of {_micro_batch(basis, config)} tokens in bfloat16 with fused attention"
    return f"trainer.machine.memory_estimate: float32 weights, gradients and moments{shared}; {passes}; not measured"


def _too_large(basis: Basis, config: PretrainConfig, limit: float) -> InvalidInput:
    """What would do: the fewest GPUs of this memory, else of how much memory they must be."""
    gpus, length = basis.target.gpu_count or 1, config.architecture.sequence_length
    takes = _peak(basis, config, length)
    said = f"one sequence takes {gib(takes)} on each GPU, of which there {'are' if gpus > 1 else 'is'} {gpus}"
    reason = f"{said}, and {gib(limit)} can be filled"
    enough = next((more for more in _more_gpus(gpus) if _at(basis, more, config) <= limit), None)
    if enough is not None:
        return InvalidInput("gpus", reason, f"{enough} GPUs are enough, or take GPUs with more memory")
    needed = math.ceil(takes / USABLE_MEMORY / 2**30)
    return InvalidInput("gpus", f"{reason}; more of them do not help", f"use GPUs of at least {needed} GiB")


def _more_gpus(gpus: int) -> Iterator[int]:
    """Counts to try: each one up to eight, then in steps of an eighth."""
    while gpus < MAX_GPUS:
        gpus += max(gpus // 8, 1)
        yield gpus


def _at(basis: Basis, gpus: int, config: PretrainConfig) -> float:
    """Bytes of one GPU among so many."""
    target = basis.target.model_copy(update={"gpus": gpus})
    return _peak(replace(basis, target=target), config, config.architecture.sequence_length)


def _utilisation(basis: Basis) -> Utilisation | None:
    """What trials reached on the same kind of GPU, else what is usual; None where no FLOPs are known."""
    if basis.target.peak_flops is None:
        return None
    measured = _measured(basis) if basis.target.gpu else []
    if not measured:
        where = f"no trial ran on {basis.target.gpu}" if basis.target.gpu else "the kind of the GPUs is not said"
        return Utilisation(ASSUMED_MFU, f"assumed, because {where}: {ASSUMED_MFU[0]:.0%} to {ASSUMED_MFU[1]:.0%}")
    largest = max(size for size, _ in measured)
    shares = [share for size, share in measured if size * SIMILAR_SIZE >= largest]
    ends = (statistics.median(shares), max(shares))
    words = f"measured in {len(shares)} trials on {basis.target.gpu} with up to {figures(largest)} parameters"
    return Utilisation(ends, f"{words} (median and maximum); larger networks usually use a GPU better")


def _measured(basis: Basis) -> list[tuple[float, float]]:
    """Parameters and utilisation of the complete trials on the target's kind of GPU."""
    peak = ACCELERATORS[basis.target.gpu or ""].peak_flops
    found = []
    for row in basis.observations:
        if (
            row.state is not TrialState.COMPLETE
            or kind_of_device(str(row.attributes.get("device"))) != basis.target.gpu
        ):
            continue
        speed, each = row.metrics.get("train_tokens_per_second"), row.number_of("training_flops_per_token")
        size = row.number_of("total_parameters")
        if speed and each and size:
            found.append((size, speed * each / peak))
    return found
