"""Whether the corpus holds enough text for the run, from what the trials counted in it."""

import math

from studies.formulas.observations import Observation
from studies.recipe.basis import Basis
from studies.recipe.evidence import DataUse
from studies.records import TrialState
from trainer.config import PretrainConfig

MAX_EPOCHS = 4.0
"""Up to here repeated text is worth about as much as new (arXiv 2305.16264, abstract: up to 4 epochs)."""
REPETITION_DECAY = 15.387756
"""R*_D, the repetitions after which repeated tokens have lost most of their worth (arXiv 2305.16264, appendix A)."""


def data_use(basis: Basis, config: PretrainConfig) -> DataUse:
    """Epochs that the run makes over its corpus."""
    vocabulary = config.architecture.vocabulary_size
    row = _counted(basis, vocabulary)
    if row is None:
        reason = "no complete trial counted the corpus" if basis.number is not None else "no trial has read the corpus"
        return DataUse(unique_tokens=None, epochs=None, effective_tokens=None, fingerprint=None, basis=reason)
    unique = row.metrics["train_tokens"] / float(row.attributes["epochs"])
    tokens = float(basis.target.tokens)
    fingerprint = row.attributes.get("corpus_fingerprint")
    counted = row.number_of("vocabulary_size") or basis.config.architecture.vocabulary_size
    words = f"counted in trial {row.number} under {counted:.0f} tokens"
    if counted != vocabulary:
        words += f"; with {vocabulary} each token holds other amounts of text, so that the count is a rough one"
    return DataUse(
        unique_tokens=unique,
        epochs=tokens / unique,
        effective_tokens=effective_tokens(unique, tokens),
        fingerprint=None if fingerprint is None else str(fingerprint),
        basis=words,
    )


def effective_tokens(unique: float, tokens: float) -> float:
    """U + U·R*·(1 - exp(-R / R*)) with R = D / U - 1 repetitions (arXiv 2305.16264, equation 5); D up to one epoch."""
    repetitions = tokens / unique - 1
    if repetitions <= 0:
        return tokens
    return unique + unique * REPETITION_DECAY * -math.expm1(-repetitions / REPETITION_DECAY)


def _counted(basis: Basis, vocabulary: int) -> Observation | None:
    """A complete trial that counted the corpus: under the same vocabulary, else under the nearest."""
    rows = [
        row
        for row in basis.observations
        if row.state is TrialState.COMPLETE and row.metrics.get("train_tokens") and (row.number_of("epochs") or 0) > 0
    ]
    default = float(basis.config.architecture.vocabulary_size)

    def distance(row: Observation) -> float:
        return abs(math.log((row.number_of("vocabulary_size") or default) / vocabulary))

    return min(rows, key=distance, default=None)
