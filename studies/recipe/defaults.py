"""What a recipe falls back on where nothing was measured: each value with its citation."""

from dataclasses import dataclass

from model.config import ArchitectureConfig
from model.counts import count_parameters

PAPER_CONFIG = "PanGu-π Pro (arXiv 2402.02791), released configs/LLM1B.py"
DEEPSEEK_LAW = "DeepSeek LLM (arXiv 2401.02954), section 3.1, eq. 1"

PAPER_SCALE = 300_000_000
"""From this many parameters on, the paper's settings at 1B are taken over (assumed: within a factor of about 3)."""
PAPER_ASPECT_RATIO = 1792 / 20
"""Width over depth of the paper's released 1B config (PanGu-π Pro, configs/LLM1B.py)."""
PAPER_FFN_RATIO = 8 / 3
"""FFN width over width (PanGu-π Pro, configs/LLM1B.py)."""
PAPER_SEQUENCE_LENGTH = 2048
"""Tokens of context (PanGu-π Pro, configs/LLM1B.py)."""
PAPER_VOCABULARY_SIZE = 48_000
"""Vocabulary at 1B parameters (PanGu-π Pro, F1)."""
PAPER_EMBEDDING_SHARE = 0.20
"""Largest share of embedding and head in all parameters (PanGu-π Pro, F1: PEHL < 20 %)."""
PAPER_WARMUP_RATIO = 0.03
"""Share of the run spent in warm-up (PanGu-π Pro, configs/LLM1B.py)."""
PAPER_MAX_BATCH_TOKENS = 4_000_000
"""Batches stay below this (PanGu-π Pro, F5)."""

MIN_DEPTH = 4
"""Fewest layers where nothing was measured (measured: at 1M parameters and 350 000 tokens, at equal budgets, 4 to 6
layers were best and 1 layer 0.1 bits per byte worse; the paper's aspect ratio would give 1 or 2)."""

CITATIONS: dict[str, tuple[float | str | None, str]] = {
    "architecture.block": ("llama", "LLaMA (arXiv 2302.13971), section 2.2"),
    "architecture.rope_theta": (10_000.0, "RoFormer (arXiv 2104.09864), section 3.2.2"),
    "architecture.norm_eps": (1e-5, PAPER_CONFIG),
    "optimization.weight_decay": (0.1, PAPER_CONFIG),
    "optimization.final_learning_rate_ratio": (0.1, PAPER_CONFIG),
    "optimization.beta1": (0.9, PAPER_CONFIG),
    "optimization.beta2": (0.95, PAPER_CONFIG),
    "optimization.epsilon": (1e-8, PAPER_CONFIG),
    "optimization.gradient_clip": (1.0, PAPER_CONFIG),
    "initialization.scheme": ("constant", "PanGu-π Pro, F3"),
    "inheritance.neurons": ("learned_mask", "PanGu-π Pro, F4"),
    "inheritance.layers": ("importance", "PanGu-π Pro, F4"),
    "multiple_rounds.sampling_rate": (0.5, "PanGu-π Pro, F6"),
    "multiple_rounds.parts": (8, "PanGu-π Pro, F6"),
    "multiple_rounds.selection": ("loss", "PanGu-π Pro, F6"),
    "initialization.std": (None, "1 / sqrt(width): LeCun et al. 1998, Efficient BackProp, section 4.6"),
}
"""Where a leaf's usual value comes from, for studies without a complete trial."""

VOCABULARY_SIZES = (PAPER_VOCABULARY_SIZE, 32_768, 16_384, 8192, 4096, 2048, 1024, 512)
"""Tried from the largest until the embedding share fits (assumed: powers of two below the paper's size)."""


@dataclass(frozen=True, slots=True)
class HeadDim:
    """A head width from the budget at which it was published."""

    from_parameters: int
    value: int
    reference: str


HEAD_DIMS = (
    HeadDim(PAPER_SCALE, 128, PAPER_CONFIG),
    HeadDim(30_000_000, 64, "GPT-2 (Radford et al. 2019): 12 heads of 64 at 124M parameters"),
    HeadDim(0, 32, "ArchitectureConfig (assumed: the legal width steps of a tiny model stay small)"),
)
"""From the largest down; the limits between the published sizes are assumed."""


def compute_flops(architecture: ArchitectureConfig, tokens: int) -> float:
    """C = M·D in FLOPs with M = 6·N_non_embedding + 12·L·d·S a token, the convention of DeepSeek LLM, section 3.2."""
    per_token = 6 * count_parameters(architecture).non_embedding
    per_token += 12 * architecture.depth * architecture.width * architecture.sequence_length
    return float(per_token) * tokens


def default_learning_rate(compute: float) -> float:
    """Peak rate for a compute budget in FLOPs: 0.3118·C^-0.1250 (DeepSeek LLM, eq. 1; fitted on 10^17 to 2·10^19)."""
    return float(0.3118 * compute**-0.1250)


def default_batch_tokens(compute: float) -> float:
    """Tokens a batch for a compute budget in FLOPs: 0.2920·C^0.3271 (DeepSeek LLM, eq. 1), below the paper's 4M."""
    return float(min(0.2920 * compute**0.3271, PAPER_MAX_BATCH_TOKENS))
