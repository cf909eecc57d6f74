"""The recipe at one size and its rivals: configs of equal parameters, tokens, vocabulary and context."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model.config import ArchitectureConfig
from model.counts import count_parameters
from model.errors import InvalidInput
from search.laws import STEP_LAW
from search.space.budget import FFN_STEPS, Budget
from search.space.quantities import ParameterCount
from studies.recipe import Recipe
from studies.recipe.defaults import MIN_DEPTH, PAPER_ASPECT_RATIO, PAPER_CONFIG, PAPER_FFN_RATIO
from studies.recipe.fields.shape import Frame
from studies.validation.judgement import RECIPE, CandidateName
from trainer.config import InitializationConfig, OptimizationConfig, PretrainConfig
from trainer.plan import MIN_STEPS, plan_run
from trainer.rounds.plan import plan_rounds

MAX_RATE = 10.0
"""Largest rate that a config takes (``OptimizationConfig``)."""
TOLERANCE = 0.03
"""Largest relative distance of a rival's parameters from the recipe's; the FFN takes the remainder, so that they differ
by less than eight of its channels."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A config and where it comes from."""

    name: CandidateName
    reference: str
    config: PretrainConfig


def candidates_of(recipe: Recipe, tokens: int) -> tuple[Candidate, ...]:
    """The recipe first, then its rivals.

    Every warm-up is given in tokens, so that a trial can say it.

    Raises:
        InvalidInput: a config cannot be trained for ``tokens``; names the field.
    """
    config = recipe.config
    rate = config.optimization.learning_rate
    found = [
        Candidate(RECIPE, "recipe of the study at this size", config),
        Candidate("default", _DEFAULT_REFERENCE, _default(config, tokens)),
        Candidate("step_law", STEP_LAW.source, _step_law(config, tokens)),
        Candidate("half_rate", "the recipe at half its learning rate", _at_rate(config, rate / 2)),
        Candidate("double_rate", "the recipe at twice its learning rate", _at_rate(config, min(2 * rate, MAX_RATE))),
    ]
    return tuple(_realised(one, tokens) for one in found)


_DEFAULT_REFERENCE = (
    f"width / depth and FFN ratio of {PAPER_CONFIG}; rate, batch, decay, warm-up and start of a spec that says nothing"
)


def distinct(candidates: tuple[Candidate, ...]) -> Iterator[tuple[Candidate, int]]:
    """Each candidate with the place of its config among the different ones."""
    configs: list[PretrainConfig] = []
    for candidate in candidates:
        if candidate.config not in configs:
            configs.append(candidate.config)
        yield candidate, configs.index(candidate.config)


def _at_rate(config: PretrainConfig, rate: float) -> PretrainConfig:
    return _changed(config, optimization={"learning_rate": rate})


def _step_law(config: PretrainConfig, tokens: int) -> PretrainConfig:
    """The recipe's network at the rate and batch of Step Law, which holds under the standard parametrisation."""
    size = count_parameters(config.architecture).non_embedding
    length = config.architecture.sequence_length
    batch = _whole_sequences(STEP_LAW.best_batch(size, tokens) or length, length, tokens)
    rate = min(float(f"{STEP_LAW.best_rate(size, tokens, batch):.4g}"), MAX_RATE)
    return _standard(_changed(config, optimization={"learning_rate": rate, "batch_tokens": batch}))


def _default(config: PretrainConfig, tokens: int) -> PretrainConfig:
    """What is trained when nothing was searched: published proportions, and the settings of a spec without any.

    It starts from draws and reads its text once; a teacher is one for all runs of a study.
    """
    usual = OptimizationConfig()
    architecture = _default_architecture(config.architecture)
    batch = _whole_sequences(usual.batch_tokens, architecture.sequence_length, tokens)
    changed = _changed(
        config,
        architecture=architecture.model_dump(),
        optimization={
            "learning_rate": usual.learning_rate,
            "batch_tokens": batch,
            "weight_decay": usual.weight_decay,
            "warmup_tokens": usual.warmup_tokens,
            "warmup_ratio": usual.warmup_ratio,
        },
        multiple_rounds={"rounds": 1},
    )
    return _standard(changed.model_copy(update={"inheritance": None}))


def _default_architecture(architecture: ArchitectureConfig) -> ArchitectureConfig:
    frame = Frame(
        budget=Budget(ParameterCount(), count_parameters(architecture).total, TOLERANCE),
        block="llama",
        vocabulary_size=architecture.vocabulary_size,
        head_dim=architecture.head_dim,
        kv_heads=0,
        tied_head=architecture.tied_head,
        qk_norm=architecture.qk_norm,
        ffn_ratio=PAPER_FFN_RATIO,
    )
    shape = frame.solve_at_most(max(frame.depth_at(PAPER_ASPECT_RATIO), MIN_DEPTH))
    changed = {
        "block": "llama",
        "depth": shape.depth,
        "width": shape.width,
        "ffn_width": shape.ffn_width,
        "kv_heads": shape.width // architecture.head_dim,
    }
    return _as_large(ArchitectureConfig.model_validate({**architecture.model_dump(), **changed}), architecture)


def _as_large(changed: ArchitectureConfig, architecture: ArchitectureConfig) -> ArchitectureConfig:
    """The same with the FFN width that takes the remainder, in the largest step that the other network's is in: so it
    is solved again where both are points of one study.
    """
    step = math.gcd(architecture.ffn_width, FFN_STEPS[0])
    total, wider = (count_parameters(each).total for each in (changed, _with_ffn(changed, changed.ffn_width + 1)))
    exact = changed.ffn_width + (count_parameters(architecture).total - total) / (wider - total)
    return _with_ffn(changed, step * max(round(exact / step), 1))


def _with_ffn(architecture: ArchitectureConfig, ffn_width: int) -> ArchitectureConfig:
    return architecture.model_copy(update={"ffn_width": ffn_width})


def _standard(config: PretrainConfig) -> PretrainConfig:
    """The config under the standard parametrisation, with the default initialisation where it was muP."""
    if config.architecture.parametrisation == "standard":
        return config
    initialization = InitializationConfig()
    return _changed(config, architecture={"mup_base_width": None}, initialization=initialization.model_dump())


def _realised(candidate: Candidate, tokens: int) -> Candidate:
    """The candidate with its warm-up in tokens, and in one round where its batch leaves too few steps for more."""
    config, reference = candidate.config, candidate.reference
    try:
        plan_rounds(config.multiple_rounds, round(tokens / config.optimization.batch_tokens))
    except InvalidInput:
        config = _changed(config, multiple_rounds={"rounds": 1})
        reference += "; in one round, because its run is too short for more"
    return Candidate(candidate.name, reference, _with_explicit_warmup(config))


def _with_explicit_warmup(config: PretrainConfig) -> PretrainConfig:
    """The same run with its warm-up in tokens."""
    steps = plan_run(config, bytes_per_token=1.0).warmup_steps
    return _changed(config, optimization={"warmup_tokens": steps * config.optimization.batch_tokens})


def _whole_sequences(batch: float, sequence_length: int, tokens: int) -> int:
    """The batch in whole sequences, at least one, and small enough for a run of ``MIN_STEPS``."""
    most = max(tokens // MIN_STEPS // sequence_length, 1)
    return min(max(round(batch / sequence_length), 1), most) * sequence_length


def _changed(config: PretrainConfig, **sections: dict[str, Any]) -> PretrainConfig:
    document = config.model_dump()
    changed = {name: {**document[name], **fields} for name, fields in sections.items()}
    return PretrainConfig.model_validate({**document, **changed})
