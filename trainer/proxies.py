"""Proxies: trained from their initial or inherited weights to the end, alone or as one program."""

from collections.abc import Generator, Sequence
from pathlib import Path

from trainer.config import ProxyConfig
from trainer.errors import TrainingDiverged
from trainer.inheritance.start import inherited_start
from trainer.loop import MemberResult, MemberResults, TrainingRun, of_one
from trainer.machine.compilation import share_compiled_code
from trainer.parallel.world import alone
from trainer.results import StepResult
from trainer.text.data import prepare


def train(config: ProxyConfig, storage: Path) -> Generator[StepResult, None, None]:
    """Train a proxy from its initial weights, one result a step; the same config gives the same losses.

    Raises:
        InvalidInput: the corpus, the tokenizer's size or the length cannot be used.
        TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
        WriteFailed: the weights that are to be kept could not be written.
    """
    yield from of_one(train_stack([config], storage))


def train_stack(configs: Sequence[ProxyConfig], storage: Path) -> Generator[MemberResults, None, None]:
    """Train proxies of one shape as one program; each learns what it would learn alone, up to rounding.

    Raises:
        InvalidInput: as for ``train``, or the configs differ in more than ``trainer.stacks.STACKABLE_NAMES``.
        WriteFailed: the weights that are to be kept could not be written.
    """
    run = _start(configs, storage)
    for results in run.member_results():
        yield {index: _kept(run, index, result, storage) for index, result in results.items()}


def _kept(run: TrainingRun, index: int, result: MemberResult, storage: Path) -> MemberResult:
    """A result, which names the member's weights where it is the last one and its config keeps them."""
    if isinstance(result, TrainingDiverged) or not run.members[index].config.keep_weights or not result.finished:
        return result
    from trainer.kept_weights import with_kept_weights  # loads transformers

    return with_kept_weights(result, run.program.network_of(index), run.data.tokenizer_path, storage)


def _start(configs: Sequence[ProxyConfig], storage: Path) -> TrainingRun:
    first, *others = configs
    if any(config.keep_weights for config in configs):
        from model.hf import check_exportable  # loads transformers

        check_exportable(first.architecture)
    share_compiled_code(storage)
    size = first.architecture.vocabulary_size
    data = prepare(first.corpus, size, first.validation_bytes, storage, tokenizer_source=first.tokenizer_source)
    starts = [inherited_start(config, data, storage, alone().device) for config in configs]
    run = TrainingRun(first, data, others)
    run.start_from(starts)
    return run
