"""A recipe's run in the units of other frameworks: steps, sequences and rates."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from studies.recipe import Recipe
from trainer.config import PretrainConfig
from trainer.plan import RunPlan, plan_run

if TYPE_CHECKING:  # loads torch
    from trainer.inheritance.start import Start

SEED_LIMIT = 2**32
"""NumPy, which other frameworks seed too, takes seeds below it."""

GPUS_OF_A_NODE = 8
"""GPUs of a machine (assumed, of more than that many GPUs)."""


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe and its realised length on its corpus."""

    recipe: Recipe
    plan: RunPlan
    start: "Start | None" = None
    """The weights that were inherited, where the format holds them."""

    @property
    def config(self) -> PretrainConfig:
        """The recipe's config."""
        return self.recipe.config

    @property
    def batch_sequences(self) -> int:
        """Sequences of one optimizer step, over all GPUs."""
        return self.config.optimization.batch_tokens // self.config.architecture.sequence_length

    @property
    def gpus(self) -> int:
        """GPUs of the recipe's target where they can share a batch in whole sequences; else, and with none said, 1."""
        said = (self.recipe.prediction and self.recipe.prediction.gpus) or 1
        return said if self.batch_sequences % said == 0 else 1

    @property
    def micro_batch_sequences(self) -> int:
        """Sequences of one forward pass: the most that ``micro_batch_tokens`` allows and that divide a GPU's share."""
        limit = max(self.config.micro_batch_tokens // self.config.architecture.sequence_length, 1)
        share = self.batch_sequences // self.gpus
        return max(size for size in range(1, min(limit, share) + 1) if share % size == 0)

    @property
    def gpus_in_words(self) -> str:
        """``1 GPU`` or ``8 GPUs``."""
        return f"{self.gpus} GPU{'' if self.gpus == 1 else 's'}"

    @property
    def accumulation(self) -> int:
        """Forward passes of one GPU in an optimizer step."""
        return self.batch_sequences // self.gpus // self.micro_batch_sequences

    @property
    def nodes(self) -> int:
        """Machines, of ``GPUS_OF_A_NODE`` GPUs where there are more."""
        return self.gpus // GPUS_OF_A_NODE if self.gpus % GPUS_OF_A_NODE == 0 else 1

    @property
    def torchrun(self) -> str:
        """How ``torchrun`` is called for these GPUs; on several machines, on each of them."""
        if self.nodes <= 1:
            return f"torchrun --nproc_per_node={self.gpus}"
        meeting = "--rdzv_backend=c10d --rdzv_endpoint=HOST:29500"
        return f"torchrun --nnodes={self.nodes} --nproc_per_node={GPUS_OF_A_NODE} {meeting}"

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


def seed_difference(framework: str, config: PretrainConfig) -> list[str]:
    """What a framework whose seeds are NumPy's does to a larger one."""
    if config.seed < SEED_LIMIT:
        return []
    return [f"Seed: {framework} takes those below {SEED_LIMIT}; it got the remainder of {config.seed}."]


def evaluation_difference(config: PretrainConfig) -> list[str]:
    """What becomes of annealed evaluations, which other frameworks do not have."""
    return ["Evaluations: none are annealed; the training itself is the same."] if config.annealed_evaluations else []
