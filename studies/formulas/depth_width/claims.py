"""What the paper says of depth, and where: declared before any data are seen."""

from collections.abc import Mapping
from typing import Final

from studies.formulas.fitting.shapes import Shape
from studies.formulas.formula import FormulaKind, PaperClaim
from studies.formulas.observations import FitContext
from studies.formulas.verdicts import Domain

KIND: Final[FormulaKind] = "depth_width"
PAPER_DOMAIN: Domain = {
    "depth": (9, 40),
    "width": (1280, 2560),
    "ffn_ratio": (1.0, 4.0),
    "total_parameters": (0.5e9, 2e9),
}
"""The paper's sampled ranges (F2); about 1B parameters, read as 0.5B to 2B (assumed)."""
RATIO_REGION = (-0.02, 0.02)
"""A doubling of the FFN ratio that changes the loss by no more than this has about no effect (assumed: two to four
standard deviations between seeds at 1M parameters). The paper has a rank correlation of about 0."""
KNEE_REGION = (16.0, 25.0)
"""The paper takes about 20 layers at 1B parameters (F2), read as a factor of 1.25 to each side (assumed)."""
GROWTH_REGION = (0.0, None)
"""Larger networks are deeper, and wider for their depth: the paper's configs have 21 layers of width 1792 at 1B and 22
of 2048 at 1.5B (table of full-training configs), from which g is 0.11 for the depth and 0.21 for the ratio; two configs
that were chosen by hand give a sign at most."""
LOSS_METRICS = frozenset({"bits_per_byte", "validation_loss"})
DOMAIN_COLUMNS = (
    "depth",
    "width",
    "ffn_ratio",
    "vocabulary_size",
    "batch_tokens",
    "total_parameters",
    "non_embedding_parameters",
    "train_tokens",
    "train_bytes",
    "train_flops",
)
MIRRORED: Mapping[Shape, str] = {
    "U": "inverted U",
    "monotone decreasing": "monotone increasing",
    "monotone increasing": "monotone decreasing",
    "undetermined": "undetermined",
}
"""Shape of a maximised objective by that of its cost."""


def deeper_is_better(context: FitContext) -> PaperClaim:
    """Of the objective's trend (paper, F2: Spearman of depth and score +0.528)."""
    region = (None, 0.0) if context.direction == "minimize" else (0.0, None)
    return PaperClaim(formula="F2", region=region, test="sign")
