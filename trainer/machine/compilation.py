"""Whether a step is compiled, and how: a choice from the shape alone, so that all trials of a shape compute alike."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

import torch

from model.config import ArchitectureConfig
from model.counts import forward_flops_per_token, training_flops_per_token
from trainer.config import ProxyConfig

Mode = Literal["off", "inductor", "inductor with CUDA graphs"]
P = ParamSpec("P")
R = TypeVar("R")

LAUNCH_SECONDS = 5e-6
"""Time that a GPU's host needs to start one kernel (assumed)."""
KERNELS_PER_LAYER = 30
"""Kernels of a compiled layer, forward and backward (assumed)."""
KERNELS_PER_TEACHER_LAYER = 10
"""Kernels of a compiled layer of a teacher, which runs forward alone (assumed: a third, as of the FLOPs)."""
GPU_FLOPS_PER_SECOND = 4e14
"""bfloat16 products of a Hopper GPU at the shapes of a small network (assumed: about 0.4 of its 989e12)."""


def choose_mode(
    config: ProxyConfig,
    micro_batch_tokens: int,
    members: int,
    device: torch.device,
    teacher: ArchitectureConfig | None = None,
) -> Mode:
    """The compilation of a run: none on a CPU unless asked for, where it costs more time than a trial saves.

    On a GPU, CUDA graphs where starting the kernels would take longer than computing them. ``teacher`` is the one whose
    predictions are part of the step, over the members' tokens.
    """
    if config.compilation == "off" or (config.compilation == "auto" and device.type == "cpu"):
        return "off"
    if device.type == "cpu":
        return "inductor"
    flops, kernels = training_flops_per_token(config.architecture), KERNELS_PER_LAYER * config.architecture.depth
    if teacher is not None:
        flops += forward_flops_per_token(teacher)
        kernels += KERNELS_PER_TEACHER_LAYER * teacher.depth
    computing = members * micro_batch_tokens * flops / GPU_FLOPS_PER_SECOND
    return "inductor with CUDA graphs" if computing < LAUNCH_SECONDS * kernels else "inductor"


def compiled(function: Callable[P, R], mode: Mode) -> Callable[P, R]:
    """``function`` as the mode wants it; it is compiled when it is first called with a new shape."""
    if mode == "off":
        return function
    torch_mode = "reduce-overhead" if mode == "inductor with CUDA graphs" else None
    return torch.compile(function, mode=torch_mode, dynamic=False)


def share_compiled_code(storage: Path) -> None:
    """Keep compiled code below ``storage``, so that a shape is compiled once for all trials and processes.

    A folder that the operator chose by ``TORCHINDUCTOR_CACHE_DIR`` stays.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(storage / "compiled"))
