"""The paper's own findings as formulas and as a spec: a recipe without a study of one's own.

Nothing here was fitted in this project. Every number is PanGu-π Pro's (arXiv 2402.02791); where the paper states none,
the formula says so. The recipe is made by the same code as that of a study.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from studies.errors import NotFound
from studies.formulas.formula import Coefficient, Formula, FormulaKind
from studies.recipe.for_target import recipe_for_target
from studies.recipe.models import NO_MODELS, KnownModel, Models
from studies.recipe.recipe import STATED_BY, Recipe
from studies.recipe.target import Target
from studies.spec import StudySpec

PAPER = "PanGu-π Pro (arXiv 2402.02791)"
LEVEL = 0.95
SMALL, LARGE = (1e9, 21), (1.5e9, 22)
"""Nominal parameters and depth of PanGu-π-1B Pro and -1.5B Pro (the table of full-training configs)."""
SHALLOWEST = 20
"""Layers of the released 1B config, which is also the knee of F2: one less than the table's."""
BATCH_TOKENS = 2**21
"""The paper's batch of 2M tokens in whole sequences of 2048 (assumed: 2M is read as 2^21)."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Findings that were published, in the form in which a study's are used."""

    name: str
    title: str
    spec: StudySpec
    formulas: tuple[Formula, ...]
    origin: str
    """Cited for what the formulas leave open."""
    parent: KnownModel
    """What the published networks started from."""

    def recipe(self, target: Target, given: Models = NO_MODELS) -> Recipe:
        """The recipe for a target, which may name a parent and a teacher.

        Raises:
            InvalidInput: no config can meet the target.
        """
        models = replace(given, parent=given.parent or self.parent)
        return recipe_for_target(self.spec, (), self.formulas, target, origin=self.origin, models=models)


def find_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        NotFound: there is none; names those that there are.
    """
    if name not in PRESETS:
        raise NotFound(f"there is no preset {name[:100]!r}; there is {', '.join(PRESETS)}")
    return PRESETS[name]()


@cache
def _paper() -> Preset:
    formulas = (_vocabulary(), _depth_growth(), _rate(), _initialization(), _inheritance(), _rounds())
    origin = f"{PAPER}, released configs/LLM1B.py and its pretraining settings"
    problem = "PanGu-π-7B, from which the paper's networks inherited, is not public"
    parent = KnownModel(folder="", said="PanGu-π-7B", problem=problem)
    return Preset("paper", f"the findings of {PAPER}", _paper_spec(), formulas, origin, parent)


PRESETS: Mapping[str, Callable[[], Preset]] = {"paper": _paper}


def _paper_spec() -> StudySpec:
    """The released 1B config as the single point of a study: what no formula says is taken from here."""
    return StudySpec.model_validate(
        {
            "name": "PanGu-π Pro",
            "proxy": {
                "train_tokens": 1_600_000_000_000,
                "sequence_length": 2048,
                "depth": SHALLOWEST,
                "width": 1792,
                "vocabulary_size": 48_000,
                "ffn_ratio": 2.77,
                "head_dim": 128,
                "tied_head": False,
                "learning_rate": 2e-4,
                "batch_tokens": BATCH_TOKENS,
                "weight_decay": 0.1,
                "schedule": "cosine",
                "final_learning_rate_ratio": 0.1,
                "init_scheme": "constant",
            },
            "max_trial_count": 1,
        }
    )


def _vocabulary() -> Formula:
    """F1: 48 000 tokens cover 97.86 % of the corpus (more than 90 % was asked) and hold 18.07 % of 1B parameters."""
    return _stated(
        "vocabulary",
        "F1",
        statement="the smallest vocabulary that covers more than 90 % and holds less than 20 %: 48 000 at 1B",
        latex=r"V = 48000",
        expression="rule_vocabulary",
        coefficients={"rule_vocabulary": (48_000.0, None, "tokens")},
        domain={"vocabulary_size": (8_000, 100_883), "total_parameters": (SMALL[0], LARGE[0])},
    )


def _depth_growth() -> Formula:
    """F2: through the depths of the two full-training configs; the knee of 20 layers at 1B gives the interval."""
    exponent = math.log(LARGE[1] / SMALL[1]) / math.log(LARGE[0] / SMALL[0])
    return _stated(
        "depth_width",
        "F2",
        variant="growth",
        statement=f"L* = {SMALL[1]}·(N/1e9)^{exponent:.3f}, through the paper's two full-training configs",
        latex=rf"L^{{*}} = {SMALL[1]}\left(\frac{{N}}{{10^{{9}}}}\right)^{{{exponent:.3f}}}",
        expression="depth_at_1b * (total_parameters / reference_total_parameters) ** growth",
        coefficients={
            "depth_at_1b": (float(SMALL[1]), math.log(SMALL[1] / SHALLOWEST), "layers"),
            "reference_total_parameters": (SMALL[0], None, "parameters"),
            "growth": (exponent, None, "1"),
        },
        domain={"total_parameters": (SMALL[0], LARGE[0]), "depth": (9, 40)},
    )


def _rate() -> Formula:
    """F5: r = 0.5 below a batch of 4M tokens, about the pretraining rate of 2e-4 at 2M tokens."""
    return _stated(
        "learning_rate_batch",
        "F5",
        statement="lr* = 2e-4·(B/2M)^0.5 below a batch of 4M tokens",
        latex=r"\eta^{*} = 2\times 10^{-4}\left(\frac{B}{2\times 10^{6}}\right)^{0.5}",
        expression="c * (batch_tokens / reference_batch_tokens) ** r",
        coefficients={
            "c": (2e-4, None, "1"),
            "reference_batch_tokens": (float(BATCH_TOKENS), None, "tokens"),
            "r": (0.5, None, "1"),
        },
        domain={"batch_tokens": (BATCH_TOKENS / 4, 4e6), "total_parameters": (SMALL[0], LARGE[0])},
    )


def _initialization() -> Formula:
    """F3: constant, GPT-2's and InternLM's initialisation are about equal; one deviation for all layers is simplest."""
    return _stated(
        "initialization",
        "F3",
        statement="constant, GPT-2's and InternLM's initialisation are about equal: one deviation for every layer",
        latex=r"\sigma_{l} = \sigma",
        expression="",
        coefficients={},
        domain={"total_parameters": (SMALL[0], LARGE[0])},
        winner={"method": "constant", "parameters": {"init_scheme": "constant"}},
    )


def _inheritance() -> Formula:
    """F4: average scores by the way in which a 7B parent's neurons are chosen, at 1B parameters."""
    scores = {"l1": 46.06, "l2": 47.00, "taylor": 47.90, "learned_mask": 48.08}
    return _compared(
        "inheritance",
        "F4",
        statement="average score: random 42.06 < L1 46.06 < L2 47.00 < Taylor 47.90 < learned mask 48.08",
        level=42.06,
        scores=scores,
        winner={"method": "learned_mask", "parameters": {"inherit_method": "learned_mask"}},
    )


def _rounds() -> Formula:
    """F6: average scores after one round, after a second over half of the batches, and after a third."""
    winner = {"rounds": 2, "sampling_rate": 0.5, "parts": 8, "round_selection": "loss"}
    return _compared(
        "multiple_rounds",
        "F6",
        statement="average score: one round 51.61 < two rounds 54.46, the second over half of the batches; three 54.44",
        level=51.61,
        scores={"rounds_2_at_50": 54.46, "rounds_3_at_50": 54.44},
        winner={"method": "rounds_2_at_50", "parameters": winner},
    )


def _compared(
    kind: FormulaKind, label: str, *, statement: str, level: float, scores: Mapping[str, float], winner: dict[str, Any]
) -> Formula:
    """A comparison as ``studies.formulas.comparisons`` states one: the first method's score, and gains over it."""
    gains = {method: (round(score - level, 2), None, "score") for method, score in scores.items()}
    return _stated(
        kind,
        label,
        statement=statement,
        latex=r"y = a + d_m",
        expression=" + ".join(["level", *(f"{method} * is_{method}" for method in gains)]),
        coefficients={"level": (level, None, "score"), **gains},
        domain={"total_parameters": (SMALL[0], LARGE[0]), **{f"is_{method}": (0.0, 1.0) for method in gains}},
        winner=winner,
    )


def _stated(
    kind: FormulaKind,
    label: str,
    *,
    statement: str,
    latex: str,
    expression: str,
    coefficients: Mapping[str, tuple[float, float | None, str]],
    domain: dict[str, tuple[float, float]],
    variant: str = "",
    winner: dict[str, Any] | None = None,
) -> Formula:
    """A finding of the paper: of each coefficient value, half of its interval in logs (None: not stated), and unit."""
    variances = [(half or 0.0) ** 2 for _, half, _ in coefficients.values()]
    matrix = [[own if row == place else 0.0 for place in range(len(variances))] for row, own in enumerate(variances)]
    covariance: dict[str, Any] = {
        "names": list(coefficients),
        "matrix": matrix,
        "multiplier": 1.0,
        "logs": list(coefficients),
        "logarithmic": True,
    }
    return Formula(
        id="-".join(part for part in ("paper", kind, variant) if part),
        revision=1,
        kind=kind,
        variant=variant,
        form="stated",
        expression=expression,
        statement=statement,
        latex=latex,
        studies=(PAPER,),
        size_convention="total_parameters",
        observations=0,
        domain=domain,
        held_out_error=None,
        coefficients={name: _coefficient(*value) for name, value in coefficients.items()},
        regime={"parametrisation": "standard", "schedule": "cosine", "decay_mode": "decoupled", "optimizer": "adamw"},
        verdict="recovered",
        reasons=("stated by the paper, not fitted here",),
        evidence={
            STATED_BY: f"{PAPER}, {label}",
            "points": [],
            "curve": [],
            "covariance": covariance,
            **({} if winner is None else {"winner": winner}),
        },
    )


def _coefficient(value: float, half: float | None, unit: str) -> Coefficient:
    low, high = (None, None) if half is None else (value * math.exp(-half), value * math.exp(half))
    return Coefficient(estimate=value, low=low, high=high, level=LEVEL, unit=unit)
