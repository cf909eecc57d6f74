"""Rate and batch of a recipe beside those of published laws."""

from collections.abc import Iterator, Mapping

from model.counts import count_parameters
from search.laws import DEEPSEEK, PUBLISHED_LAWS, STEP_LAW, Law
from studies.recipe.basis import Basis
from studies.recipe.evidence import LawBeside
from studies.recipe.recipe import RecipeField
from trainer.config import PretrainConfig

COMPLETE_P = "arXiv 2505.01618, table 1: hidden lr = η·(d₀/d)·(L/L₀)^(α-1) with α = 1, weight decay λ·d/d₀"
REGIMES: Mapping[str, Mapping[str, str]] = {
    STEP_LAW.name: {"schedule": "cosine", "parametrisation": "standard"},
    DEEPSEEK.name: {"schedule": "multi-step", "parametrisation": "standard"},
}
"""Under which each law was fitted (arXiv 2503.04715, section 3; arXiv 2401.02954, section 2.3)."""


def laws_beside(basis: Basis, config: PretrainConfig, rate: RecipeField) -> Iterator[LawBeside]:
    """The recipe first, then Step Law, DeepSeek LLM and CompleteP at the target."""
    batch = float(config.optimization.batch_tokens)
    yield LawBeside(
        name="this recipe",
        learning_rate=config.optimization.learning_rate,
        batch_tokens=batch,
        best_batch=None,
        source=rate.reference,
        note=rate.note,
    )
    for law in PUBLISHED_LAWS.values():
        yield _published(law, basis, config)
    yield _complete_p(basis, config)


def _published(law: Law, basis: Basis, config: PretrainConfig) -> LawBeside:
    counts = count_parameters(config.architecture)
    size = counts.total if law.size_convention == "total_parameters" else counts.non_embedding
    best = law.best_batch(size, basis.target.tokens)
    batch = best or float(config.optimization.batch_tokens)
    note = "its rate holds at its own best batch" if best else "at this recipe's batch"
    return LawBeside(
        name=law.name,
        learning_rate=law.best_rate(size, basis.target.tokens, batch),
        batch_tokens=batch,
        best_batch=best,
        source=law.source,
        note="; ".join([note, *regime_differences(law.name, config)]),
    )


def regime_differences(law: str, config: PretrainConfig) -> list[str]:
    """In words, how the regime of a published law differs from the recipe's."""
    own = {"schedule": config.optimization.schedule, "parametrisation": config.architecture.parametrisation}
    return [
        f"fitted under the {name} {value}, and this recipe has {own[name]}"
        for name, value in REGIMES.get(law, {}).items()
        if own[name] != value
    ]


def _complete_p(basis: Basis, config: PretrainConfig) -> LawBeside:
    """What CompleteP transfers from the base config: the rate of the hidden matrices by width, none of it by depth."""
    base, network = basis.config, config.architecture
    batch = float(base.optimization.batch_tokens)
    factor = base.architecture.width / network.width
    under = "it holds with residual branches scaled by L₀/L, which this network does not have"
    where = f"{'trial ' + str(basis.number) if basis.number is not None else basis.origin}"
    rate = base.optimization.learning_rate
    if network.parametrisation == "mup":
        factor = 1.0
        under += "; under muP the config's rate is that of the base width"
    return LawBeside(
        name="complete_p",
        learning_rate=rate * factor,
        batch_tokens=batch,
        best_batch=None,
        source=COMPLETE_P,
        note=(
            f"rate of the hidden matrices, from {rate:.3g} of {where} at width {base.architecture.width} and depth "
            f"{base.architecture.depth}; that of the embedding stays; it says nothing of batch and length; {under}"
        ),
    )
