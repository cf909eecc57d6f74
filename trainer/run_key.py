"""What of a full run's config determines its losses, as a key: a checkpoint is gone on from under the same key only."""

from collections.abc import Sequence
from typing import Any

from trainer.cache import content_key
from trainer.config import PretrainConfig

NOT_DETERMINING = frozenset(
    {
        "checkpoint_every_steps",
        "evaluations",
        "threads",
        "gpu_share",
        "corpus",
        "precision",
        "tokenizer_source",
        "keep_weights",
    }
)
"""Fields that may change between a stop and a resume: they change the losses by rounding at most, or are
recorded otherwise: corpus and tokenizer by their fingerprints, the precision in the checkpoint."""
PARTLY = {
    "inheritance": {"parent", "parent_train_flops"},
    "distillation": {"teacher", "teacher_train_flops"},
    "multiple_rounds": {"forgetting"},
}
"""Where a parent or a teacher lies, and what is known of them, determines nothing; nor does what is only measured."""
PLAIN = {"inheritance": None, "distillation": None}
"""Fields that are left out of the key at these values, so that runs from before there were such fields are resumed."""


def run_key(config: PretrainConfig, fingerprints: Sequence[str]) -> str:
    """Of everything that determines the losses: the config, and ``fingerprints`` of the content of what it reads.

    A parent is not among them: it determines the start alone, which a checkpoint holds. Of a run in one round nothing
    else is read of its rounds.
    """
    left_out = {name for name, value in PLAIN.items() if getattr(config, name) == value}
    rounds = {"multiple_rounds"} if config.multiple_rounds.rounds == 1 else set()
    exclude: dict[str, Any] = {**PARTLY, **dict.fromkeys(NOT_DETERMINING | left_out | rounds, True)}
    return content_key(config.model_dump_json(exclude=exclude), *fingerprints)
