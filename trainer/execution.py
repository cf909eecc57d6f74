"""How a run is computed on its machine: all that is chosen before its first step, and the program it gives."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from model.attention import AttentionBackend, fastest_backend
from model.config import ArchitectureConfig
from model.errors import InvalidInput
from trainer.config import Precision, PretrainConfig, ProxyConfig
from trainer.distillation.architecture import over_student, teacher_folder
from trainer.distillation.teacher import Teacher
from trainer.machine.compilation import Mode, choose_mode
from trainer.machine.memory import check_memory
from trainer.machine.memory_estimate import MemoryEstimate
from trainer.machine.precision import resolve_precision
from trainer.parallel.sharded import ShardedProgram
from trainer.parallel.world import World
from trainer.program import Program, SingleProgram, StackedProgram

CPU_MICRO_BATCH_TOKENS = 4096
"""Largest forward pass on a CPU, over all members and whatever the config allows: beyond it activations leave the cache
(measured at 1M parameters, batches of 16 384 tokens: 18.0k tokens/s at 4096, 16.2k at 8192, 14.4k at 16 384)."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What a run was given by its machine; it changes losses by rounding at most."""

    precision: Precision
    backend: AttentionBackend
    micro_batch: int
    """Sequences of one forward pass, of each member."""
    recomputed: bool
    """Whether blocks are run again in the backward pass."""
    memory_estimate: MemoryEstimate
    compilation: Mode


def choose_execution(configs: Sequence[ProxyConfig], world: World) -> Execution:
    """Choose for the members of one program.

    Raises:
        InvalidInput: the memory does not suffice, or the teacher's folder cannot be used.
    """
    config, device = configs[0], world.device
    precision = resolve_precision(config.precision, device)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    backend = fastest_backend(device, dtype, config.architecture, stacked=len(configs) > 1)
    micro_batch = _micro_batch(config, len(configs), device)
    tokens = micro_batch * config.architecture.sequence_length
    teacher = _teacher_architecture(config)
    recomputed, estimate = _check_memory(config, tokens, backend, len(configs), world, teacher)
    computed = over_student(teacher, config.architecture) if teacher else None
    compilation = choose_mode(config, tokens, len(configs), device, computed)
    return Execution(precision, backend, micro_batch, recomputed, estimate, compilation)


def _micro_batch(config: ProxyConfig, members: int, device: torch.device) -> int:
    limit = CPU_MICRO_BATCH_TOKENS if device.type == "cpu" else config.micro_batch_tokens
    tokens = min(limit, config.micro_batch_tokens) // members
    return max(tokens // config.architecture.sequence_length, 1)


def _check_memory(
    config: ProxyConfig,
    tokens: int,
    backend: AttentionBackend,
    members: int,
    world: World,
    teacher: ArchitectureConfig | None,
) -> tuple[bool, MemoryEstimate]:
    """Whether blocks are run again in the backward pass, as a full run may, and what is predicted then."""
    arguments = (config, tokens, backend, world.device, members, world.size)
    try:
        return False, check_memory(*arguments, teacher=teacher)
    except InvalidInput:
        if not isinstance(config, PretrainConfig):
            raise
        return True, check_memory(*arguments, recomputed=True, teacher=teacher)


def _teacher_architecture(config: ProxyConfig) -> ArchitectureConfig | None:
    """As it is read, with all of its own tokens."""
    if config.distillation is None:
        return None
    return teacher_folder(config.distillation.teacher, config.architecture.sequence_length).architecture


def make_program(
    configs: Sequence[ProxyConfig], execution: Execution, world: World, teacher: Teacher | None = None
) -> Program:
    """The networks at their initial weights, and their optimizer; ``teacher`` is that of all of them."""
    if len(configs) > 1:
        return StackedProgram(configs, execution.backend, world.device, teacher)
    if world.size > 1:
        program: SingleProgram = ShardedProgram(
            configs[0], execution.backend, world, execution.precision, execution.compilation, teacher
        )
    else:
        program = SingleProgram(configs[0], execution.backend, world.device, teacher)
    program.network.recomputed = execution.recomputed
    return program
