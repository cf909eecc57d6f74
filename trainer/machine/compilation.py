"""Whether a step is compiled, and how: a choice from the shape alone, so that all trials of a shape compute alike."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, ParamSpec, TypeVar

import torch

from model.counts import training_flops_per_token
from trainer.config import ProxyConfig

Mode = Literal["off", "inductor", "inductor with CUDA graphs"]
P = ParamSpec("P")
R = TypeVar("R")

LAUNCH_SECONDS = 5e-6
"""Time that a GPU's host needs to start one kernel (assumed)."""
KERNELS_PER_LAYER = 30
"""Kernels of a compiled layer, forward and backward (assumed)."""
GPU_FLOPS_PER_SECOND = 4e14
"""bfloat16 products of a Hopper GPU at the shapes of a small network (assumed: about 0.4 of its 989e12)."""


def choose_mode(config: ProxyConfig, micro_batch_tokens: int, members: int, device: torch.device) -> Mode:
    """The compilation of a run: none on a CPU unless asked for, where it costs more time than a trial saves.

    On a GPU, CUDA graphs where starting the kernels would take longer than computing them.
    """
    if config.compilation == "off" or (config.compilation == "auto" and device.type == "cpu"):
        return "off"
    if device.type == "cpu":
        return "inductor"
    flops = members * micro_batch_tokens * training_flops_per_token(config.architecture)
    launches = LAUNCH_SECONDS * KERNELS_PER_LAYER * config.architecture.depth
    return "inductor with CUDA graphs" if flops / GPU_FLOPS_PER_SECOND < launches else "inductor"


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
