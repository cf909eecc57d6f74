"""Scaling laws that others fitted, beside which ours is shown, and Chinchilla's claim."""

from collections.abc import Mapping
from typing import Any

from studies.formulas.formula import PaperClaim
from studies.formulas.verdicts import Domain

CLAIM = PaperClaim(formula="Chinchilla", region=(0.4, 0.6), test="value")
"""Best size and best length grow in equal proportion with compute: N* ∝ C^0.5 (Hoffmann et al. 2022, arXiv 2203.15556:
0.50, 0.49 and 0.46 by their three approaches; 0.51 in the replication). The region's width is assumed, as for F5; it
leaves out the 0.73 of Kaplan et al. 2020. The paper that this project recovers claims nothing about N and D."""
DOMAIN: Domain = {"total_parameters": (44e6, 16e9), "train_tokens": (5e9, 5e11)}
"""Sizes and lengths of those runs (Hoffmann et al. 2022, section 3: from 70M to 16B, 5B to 500B tokens; the digitised
figure has runs from 44M on)."""

PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "hoffmann_2022": {
        "source": "Hoffmann et al. 2022, arXiv 2203.15556, approach 3",
        "E": 1.69,
        "A": 406.4,
        "B": 410.7,
        "alpha": 0.34,
        "beta": 0.28,
    },
    "besiroglu_2024": {
        "source": "Besiroglu et al. 2024, arXiv 2404.10102, replication of approach 3",
        "E": 1.8172,
        "A": 482.01,
        "B": 2085.43,
        "alpha": 0.3478,
        "beta": 0.3658,
    },
}
"""Losses are nats a token of their own texts and tokenizers, so that E, A and B are no claims about other corpora."""
