"""How a full run was set up, told before its first step."""

from collections.abc import Iterator
from pathlib import PurePath

import torch

from model.counts import training_flops_per_token
from trainer.loop import TrainingRun
from trainer.machine.peak import peak
from trainer.rounds.config import RoundSelection
from trainer.setup import RunSetup

LATER_ROUNDS: dict[RoundSelection, str] = {
    "loss": "batches of the first one, drawn without replacement with p ∝ exp(loss)",
    "uniform": "batches of the first one, drawn without replacement with equal chances",
    "top_loss": "the batches of the first one with the highest losses",
    "fresh": "text beyond that of the first one",
}
"""What a later round reads."""


def describe(run: TrainingRun) -> RunSetup:
    """How a run was set up."""
    device = run.device
    devices_peak = peak(device, run.execution.precision)
    teacher_flops = run.single.criterion.teacher_flops_per_token
    return RunSetup(
        step=run.progress.step,
        steps=run.plan.steps,
        processes=run.world.size,
        process_group=run.world.backend,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        precision=run.execution.precision,
        attention=run.execution.backend,
        compilation=run.execution.compilation,
        recomputed=run.execution.recomputed,
        batch_tokens=run.config.optimization.batch_tokens,
        micro_batch_tokens=run.execution.micro_batch * run.config.architecture.sequence_length,
        flops_per_token=training_flops_per_token(run.config.architecture) + teacher_flops,
        peak_flops_per_second=devices_peak.flops_per_second * run.world.size,
        peak_source=devices_peak.source,
        lines=(*_start(run), *_rounds(run), *_teacher(run)),
        round_ends=_round_ends(run),
    )


def _start(run: TrainingRun) -> Iterator[str]:
    """From whom the weights are inherited, which layers, and what choosing them took."""
    how, start = run.config.inheritance, run.members[0].start
    if how is None or start is None:
        return
    record = start.record
    layers = ", ".join(map(str, record.layers))
    parent = PurePath(how.parent).name or "a parent that is gone"
    yield (
        f"weights inherited from {parent}: layers {layers} of {record.parent.depth} by "
        f"{record.layer_method}, {record.kept.hidden:.0%} of the channels, {record.kept.heads:.0%} of the heads and "
        f"{record.kept.ffn:.0%} of the FFN by {record.neurons}; {record.bits_per_byte:.3f} bits per byte before "
        f"training, the parent {record.parent_bits_per_byte:.3f}; {record.flops:.3g} FLOPs in {record.seconds:.3g} s"
    )
    if record.importance is not None and record.importance.depth > 1:
        alone = [record.importance.cost(layer, 1) for layer in range(record.importance.depth)]
        least, most = alone.index(min(alone)), alone.index(max(alone))
        yield (
            f"of its layers, {least} costs least when it is skipped ({alone[least]:+.3f} bits per byte), {most} most "
            f"({alone[most]:+.3f})"
        )


def _round_ends(run: TrainingRun) -> tuple[int, ...]:
    rounds = run.plan.rounds
    return () if rounds is None or rounds.rounds == 1 else (*rounds.boundaries, run.plan.steps)


def _rounds(run: TrainingRun) -> Iterator[str]:
    ends, config = _round_ends(run), run.config.multiple_rounds
    if not ends:
        return
    spans = [f"{start + 1} to {end}" for start, end in zip((0, *ends), ends, strict=False)]
    later = LATER_ROUNDS[config.selection]
    measured = {"during": "as they were trained", "end": "measured at the end of the round"}[config.losses]
    losses = f", losses {measured}" if config.uses_losses else ""
    yield (
        f"{len(ends)} rounds, steps {', '.join(spans)}: the later ones read {later}, from each of {config.parts} parts"
        f"{losses}"
    )


def _teacher(run: TrainingRun) -> Iterator[str]:
    told, teacher = run.config.distillation, run.single.criterion.teacher
    if told is None or teacher is None:
        return
    size = teacher.attributes["teacher_parameters"]
    yield (
        f"teacher {PurePath(told.teacher).name} of {size:,} parameters: {told.weight:g} of the loss at temperature "
        f"{told.temperature:g}"
    )
