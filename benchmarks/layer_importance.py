"""Cost of one pass of layer importance over a parent of twelve layers, against as many plain evaluations."""

import time
from collections.abc import Callable

import torch

from model.config import ArchitectureConfig
from model.counts import forward_flops_per_token
from model.initialization import initialize
from model.transformer import Transformer
from trainer.inheritance.calibration import CalibrationText
from trainer.inheritance.cost import importance_flops_per_token, variants
from trainer.inheritance.importance import bits_per_byte, layer_importance

PARENT = ArchitectureConfig(vocabulary_size=1024, depth=12, width=128, ffn_width=344, kv_heads=4, sequence_length=256)
WINDOWS = 8


def measure() -> float:
    """Time of one plain evaluation for each variant, over that of the pass; the pass shares what comes first."""
    torch.set_num_threads(1)
    network = Transformer(PARENT).requires_grad_(False)
    initialize(network, "constant", PARENT.width**-0.5, seed=0)
    tokens_ns = torch.randint(1, PARENT.vocabulary_size, (WINDOWS, PARENT.sequence_length + 1))
    text = CalibrationText(tokens_ns[:, :-1], tokens_ns[:, 1:], text_bytes=tokens_ns.numel())
    evaluations = 1 + len(variants(PARENT.depth))

    def evaluate() -> None:
        for _ in range(3):
            bits_per_byte(network, text, "float32")

    plain = _cpu_seconds(evaluate) / 3
    shared = _cpu_seconds(lambda: layer_importance(network, text, "float32"))
    plain = (plain + _cpu_seconds(evaluate) / 3) / 2
    print(f"{evaluations} variants: {shared:.2f} s in one pass, {evaluations * plain:.2f} s as plain evaluations")
    share = importance_flops_per_token(PARENT) / (evaluations * forward_flops_per_token(PARENT))
    print(f"its operations are {share:.3f} of theirs")
    return evaluations * plain / shared


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
