"""What a training run reports; plain values, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = bool | int | float | str
"""A parameter's or attribute's value."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The network on the fixed validation bytes."""

    validation_loss: float
    """Nats per text token; depends on the tokenizer."""
    bits_per_byte: float
    """Bits per byte of the fixed text; comparable across tokenizers."""
    part_losses: Mapping[int, float] = field(default_factory=dict)
    """Nats per token on a sample of each part of the first round that has ended, by its number from 1; where a run
    measures forgetting (``trainer.rounds.forgetting``)."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A whole run: ``metrics`` by their standard names, ``attributes`` for everything else a law may depend on."""

    metrics: Mapping[str, float]
    attributes: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class StepResult:
    """One optimizer step."""

    step: int
    """Steps done, this one included."""
    steps: int
    """Steps of the full length."""
    tokens: int
    """Training tokens seen so far."""
    train_loss: float
    """Nats per token of this step's batch, before the update. On CUDA it is the latest reading, which is
    taken every ``loop.CUDA_READING_STEPS`` steps, because each reading waits for the device."""
    train_loss_step: int
    """The step whose loss ``train_loss`` is."""
    learning_rate: float
    seconds: float
    """Time spent in training steps so far, without evaluations."""
    evaluation: Evaluation | None
    finished: bool
    """Whether this is the run's last result: its full length, or where it was told to stop early."""
    annealed: bool = False
    """Whether this is the end of a shorter run, which left the trunk at an earlier step and is forgotten."""
    kl: float | None = None
    """Nats per token from the student's to its teacher's predictions at the temperature, in step ``train_loss_step``;
    ``train_loss`` is the cross-entropy of the text all the same."""
    summary: RunSummary | None = None
    """Given with the last result, and with annealed ones: of the shorter run."""
