"""Which parents are trained, and which students inherit from them."""

from dataclasses import dataclass
from typing import Any

from model.config import ArchitectureConfig
from trainer.config import OptimizationConfig, PretrainConfig, TrainingLength

METHODS = ("none", "random", "l1", "l2", "taylor", "learned_mask")
SEEDS = tuple(range(8))
RATES = (9e-3,)
"""Peak rates at which every method is trained: it is compared at its own best (of 3e-3 and 9e-3 the random start's best
was the larger: 2.94 and 3.22 bits per byte)."""
VALIDATION_BYTES = 60_000
EVALUATIONS = 8
"""Of each student, evenly spaced: between them, the tokens that reach a loss are interpolated."""


@dataclass(frozen=True, slots=True)
class ParentDesign:
    """A larger network, trained as a full run."""

    name: str
    depth: int
    width: int
    ffn_width: int
    vocabulary_size: int
    train_bytes: int
    calibration_bytes: int
    mask_steps: int

    @property
    def config(self) -> PretrainConfig:
        """The full run."""
        architecture = ArchitectureConfig(
            vocabulary_size=self.vocabulary_size,
            depth=self.depth,
            width=self.width,
            ffn_width=self.ffn_width,
            kv_heads=self.width // 32,
            sequence_length=128,
        )
        return PretrainConfig(
            architecture=architecture,
            optimization=OptimizationConfig(learning_rate=4e-3, batch_tokens=4096),
            length=TrainingLength(unit="bytes", amount=self.train_bytes),
            validation_bytes=VALIDATION_BYTES,
            evaluations=2,
        )


PARENTS = (
    ParentDesign(
        "deep",
        depth=8,
        width=128,
        ffn_width=352,
        vocabulary_size=1024,
        train_bytes=6_000_000,
        calibration_bytes=100_000,
        mask_steps=100,
    ),
    ParentDesign(
        "wide",
        depth=6,
        width=192,
        ffn_width=512,
        vocabulary_size=1024,
        train_bytes=6_000_000,
        calibration_bytes=40_000,
        mask_steps=40,
    ),
)


def study(parent: ParentDesign, folder: str) -> dict[str, Any]:
    """The spec of the students of a parent, whose vocabulary is larger than theirs."""
    trials = len(METHODS) * len(SEEDS) * len(RATES)
    return {
        "name": f"inherit from {parent.name}",
        "inner": {"inherit_method": list(METHODS), "seed": list(SEEDS), "learning_rate": list(RATES)},
        "inherit": {
            "parent": {"kind": "folder", "path": folder},
            "calibration_bytes": parent.calibration_bytes,
            "mask_steps": parent.mask_steps,
        },
        "proxy": {
            "train_bytes": 500_000,
            "validation_bytes": VALIDATION_BYTES,
            "evaluations": EVALUATIONS,
            "sequence_length": 128,
            "vocabulary_size": 512,
            "depth": 4,
            "width": 64,
            "batch_tokens": 2048,
            "precision": "float32",
        },
        "max_trial_count": trials,
        "parallel_trial_count": 2,
    }
