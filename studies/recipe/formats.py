"""Which recipes each export format can hold; light, so that a request is refused before anything is spent.

What is refused changes the network or what it is trained on. What only changes how a run goes about it is exported,
and said in the export (``studies.exports``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model.errors import InvalidInput
from studies.recipe.recipe import Recipe
from trainer.config import PretrainConfig

INTERNEVO_FFN_MULTIPLE = 256
"""InternEvo rounds an FFN's width up to a multiple of it (``internlm/model/modules/mlp.py``, ``multiple_of``)."""

Limit = Callable[[PretrainConfig], str | None]
"""What a format lacks for a config, as the end of ``FORMAT has no ...``; None where it lacks nothing."""


@dataclass(frozen=True, slots=True)
class Format:
    """One export format."""

    line: str
    """What it is for, in a few words."""
    limits: Sequence[Limit] = ()


def _block(config: PretrainConfig) -> str | None:
    block = config.architecture.block
    return None if block == "llama" else f"class for the {block} blocks of this recipe"


def _mup(config: PretrainConfig) -> str | None:
    return "muP: no rate and no multiplier there follows the width" if config.architecture.mup_base_width else None


def _z_loss(config: PretrainConfig) -> str | None:
    return f"z-loss, which this recipe weighs {config.optimization.z_loss:g}" if config.optimization.z_loss else None


def _wsd(config: PretrainConfig) -> str | None:
    return "schedule but a cosine, and this recipe has wsd" if config.optimization.schedule == "wsd" else None


def _document_mask(config: PretrainConfig) -> str | None:
    missing = "mask between documents that begin with END_OF_TEXT (mask_documents: true)"
    return missing if config.architecture.mask_documents else None


def _tied_head(config: PretrainConfig) -> str | None:
    return "tied head: it would have V · d parameters more (tied_head: true)" if config.architecture.tied_head else None


def _qk_norm(config: PretrainConfig) -> str | None:
    return "norm of queries and keys (qk_norm: true)" if config.architecture.qk_norm else None


def _whole_rope_base(config: PretrainConfig) -> str | None:
    theta = config.architecture.rope_theta
    return None if theta.is_integer() else f"RoPE base but whole numbers, and rope_theta is {theta:g}"


def _ffn_multiple(config: PretrainConfig) -> str | None:
    width = config.architecture.ffn_width
    if width % INTERNEVO_FFN_MULTIPLE == 0:
        return None
    return f"FFN width but multiples of {INTERNEVO_FFN_MULTIPLE}, to which it rounds up, and ffn_width is {width}"


def _rounds(config: PretrainConfig) -> str | None:
    rounds = config.multiple_rounds.rounds
    return None if rounds == 1 else f"round but one over the data, and this recipe has {rounds} (multiple_rounds)"


def _teacher(config: PretrainConfig) -> str | None:
    return "teacher, and this recipe learns from one (distillation)" if config.distillation else None


def _inherited(config: PretrainConfig) -> str | None:
    drawn = "initial weights but its own draws, and this recipe's are inherited (inheritance)"
    return drawn if config.inheritance else None


_ELSEWHERE: tuple[Limit, ...] = (_block, _mup, _z_loss, _rounds, _teacher)
FORMATS: Mapping[str, Format] = {
    "formulary": Format("the config alone: formulary pretrain trains every recipe"),
    "hf": Format("config, tokenizer and initial weights for transformers", (_block,)),
    "litgpt": Format("for litgpt pretrain", (*_ELSEWHERE, _wsd, _document_mask, _whole_rope_base)),
    "torchtitan": Format("for torchtitan, over many GPUs", (*_ELSEWHERE, _document_mask)),
    "internevo": Format(
        "for InternEvo, the paper's framework",
        (*_ELSEWHERE, _inherited, _wsd, _tied_head, _qk_norm, _whole_rope_base, _ffn_multiple),
    ),
}
"""Formats by the name that a user gives; each lists what it lacks. transformers gets no training settings, so that only
its forward pass counts there."""


def check_format(format: str, recipe: Recipe) -> None:
    """Check that a format is known and can hold a recipe.

    Raises:
        InvalidInput: names ``format``, everything that it lacks, and the formats that can.
    """
    if format not in FORMATS:
        raise InvalidInput("format", f"{format!r} is not an export format", f"use one of {', '.join(sorted(FORMATS))}")
    missing = lacking(format, recipe.config)
    if missing:
        able = [name for name in FORMATS if not lacking(name, recipe.config)]
        reason = f"{format} has no {'; no '.join(missing)}"
        raise InvalidInput("format", reason, f"use the format {' or '.join(able)}, or a study without it")


def lacking(format: str, config: PretrainConfig) -> list[str]:
    """What a known format lacks for a config."""
    return [reason for limit in FORMATS[format].limits if (reason := limit(config)) is not None]
