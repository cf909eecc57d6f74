"""A recipe's run in the units of other frameworks: steps, sequences and rates."""

from dataclasses import dataclass

from studies.recipe import Recipe
from trainer.config import PretrainConfig
from trainer.plan import RunPlan, plan_run

SEED_LIMIT = 2**32
"""NumPy, which other frameworks seed too, takes seeds below it."""


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe and its realised length on its corpus."""

    recipe: Recipe
    plan: RunPlan

    @property
    def config(self) -> PretrainConfig:
        """The recipe's config."""
        return self.recipe.config

    @property
    def batch_sequences(self) -> int:
        """Sequences of one optimizer step, over all GPUs."""
        return self.config.optimization.batch_tokens // self.config.architecture.sequence_length

    @property
    def micro_batch_sequences(self) -> int:
        """Sequences of one forward pass: the most that ``micro_batch_tokens`` allows and that divide the batch."""
        limit = max(self.config.micro_batch_tokens // self.config.architecture.sequence_length, 1)
        return max(size for size in range(1, min(limit, self.batch_sequences) + 1) if self.batch_sequences % size == 0)

    @property
    def tokens(self) -> int:
        """Tokens of the whole run in whole steps."""
        return self.plan.steps * self.config.optimization.batch_tokens

    @property
    def final_learning_rate(self) -> float:
        """Rate at the last step."""
        return self.config.optimization.learning_rate * self.config.optimization.final_learning_rate_ratio

    @property
    def bfloat16(self) -> bool:
        """Whether matrices are multiplied in bfloat16; on the GPUs that others train on, ``auto`` does."""
        return self.config.precision != "float32"

    @property
    def seed(self) -> int:
        """The recipe's seed where it is below ``SEED_LIMIT``, else what is left of it."""
        return self.config.seed % SEED_LIMIT


def realise(recipe: Recipe, bytes_per_token: float) -> Run:
    """Convert the recipe's length, given the average bytes of a token of its corpus.

    Raises:
        InvalidInput: the run cannot be realised (``trainer.plan``).
    """
    return Run(recipe, plan_run(recipe.config, bytes_per_token))
