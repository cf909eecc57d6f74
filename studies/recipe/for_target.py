"""A recipe for a model that no trial was: measured where the study reaches, cited where it does not."""

from collections.abc import Iterator, Sequence, Set

from model.config import ArchitectureConfig
from model.counts import count_parameters, embedding_share
from studies.formulas.formula import Formula
from studies.recipe.basis import CENTRE, REACH, Basis, gather
from studies.recipe.defaults import (
    DEEPSEEK_LAW,
    PAPER_CONFIG,
    PAPER_EMBEDDING_SHARE,
    PAPER_VOCABULARY_SIZE,
    PAPER_WARMUP_RATIO,
    compute_flops,
    default_learning_rate,
)
from studies.recipe.fields.architecture import choose_architecture
from studies.recipe.fields.optimization import RATE, check_tokens, choose_batch, choose_learning_rate
from studies.recipe.fields.rounds import choose_rounds
from studies.recipe.fields.start import START, choose_deviation, choose_scheme, choose_start
from studies.recipe.fields.teacher import DISTILLATION, choose_teacher
from studies.recipe.from_trial import pretrain_fields
from studies.recipe.judging.judgement import with_evidence
from studies.recipe.judging.prediction import choose_micro_batch
from studies.recipe.laws import knows_size
from studies.recipe.models import NO_MODELS, Models
from studies.recipe.recipe import Recipe, RecipeField, assemble, default_field, figures, leaves, outside
from studies.recipe.target import Target
from studies.records import Trial
from studies.spec import StudySpec
from trainer.config import TrainingLength
from trainer.plan import MAX_DEFAULT_WARMUP_STEPS

WARMUP = "optimization.warmup_tokens"


def recipe_for_target(
    spec: StudySpec,
    trials: Sequence[Trial],
    formulas: Sequence[Formula],
    target: Target,
    *,
    origin: str = CENTRE,
    models: Models = NO_MODELS,
) -> Recipe:
    """Scale a study's findings to ``target``. A law whose verdict is not decided is never used.

    Args:
        spec: the study's spec.
        trials: all of its trials.
        formulas: its laws.
        target: what is wanted.
        origin: where the config comes from of which no trial is complete.
        models: the parent and the teacher of the target, or of the study.

    Raises:
        InvalidInput: no config can meet the target; names its field and what to ask for.
    """
    target.check()
    basis = gather(spec, trials, formulas, target, origin, models)
    shape_fields = choose_architecture(basis)
    architecture = ArchitectureConfig.model_validate({field.name.split(".")[1]: field.value for field in shape_fields})
    check_tokens(target.tokens, architecture.sequence_length)
    batch = choose_batch(basis, architecture)
    batch_tokens = batch.whole
    chosen = [*shape_fields, batch, choose_learning_rate(basis, architecture, batch_tokens), *_length(basis)]
    chosen += [_warmup(basis, batch_tokens), *pretrain_fields()]
    parts = [choose_start(basis, architecture), choose_teacher(basis, architecture), choose_rounds(basis, batch_tokens)]
    chosen += [
        choose_scheme(basis),
        choose_deviation(basis, architecture),
        *(field for part in parts for field in part.fields),
    ]
    names = {field.name for field in chosen}
    inherited = [basis.inherit(name) for name, _ in leaves(basis.config) if not _is_chosen(name, names)]
    extrapolation = _extrapolation(basis, batch_tokens)
    fields = [*chosen, *inherited]
    micro_batch = choose_micro_batch(basis, assemble(fields).config)
    if micro_batch is not None:
        fields = [micro_batch if field.name == micro_batch.name else field for field in fields]
    rate = next(field for field in chosen if field.name == RATE)
    warnings = [
        *_warnings(basis, architecture, rate, extrapolation),
        *(line for part in parts for line in part.warnings),
    ]
    recipe = assemble(fields, extrapolation, warnings)
    return with_evidence(recipe, basis)


def _is_chosen(name: str, chosen: Set[str]) -> bool:
    """Whether a leaf of the trial was chosen, or the whole part that it belongs to."""
    return name in chosen or name.partition(".")[0] in {START, DISTILLATION}


def _length(basis: Basis) -> Iterator[RecipeField]:
    length = TrainingLength(unit="tokens", amount=basis.target.tokens)
    for name, value in leaves(length, "length."):
        yield RecipeField(name=name, value=value, source="target", reference="tokens")


def _warmup(basis: Basis, batch_tokens: int) -> RecipeField:
    """The trial's warm-up where it is in reach and leaves half of the run; else the paper's share."""
    tokens, run = basis.config.optimization.warmup_tokens, basis.target.tokens
    if basis.in_reach and tokens is None and basis.number is not None:
        steps = round(run / batch_tokens)
        shared = min(round(basis.config.optimization.warmup_ratio * steps), MAX_DEFAULT_WARMUP_STEPS, steps - 1)
        words = f"left out, as in the trials: warmup_ratio of the run, at most {MAX_DEFAULT_WARMUP_STEPS} steps"
        return basis.inherit(WARMUP, f"{words}, which are {shared * batch_tokens:,} tokens here")
    if basis.in_reach and tokens is not None and 2 * max(tokens, batch_tokens) <= run:
        return basis.inherit(WARMUP)
    note = f"{PAPER_WARMUP_RATIO:.0%} of the run"
    if basis.in_reach and tokens is not None:
        note += f"; the trial's {tokens} tokens would take more than half of it"
    return default_field(WARMUP, round(PAPER_WARMUP_RATIO * run), PAPER_CONFIG, note)


def _extrapolation(basis: Basis, batch_tokens: int) -> dict[str, float]:
    """Factors outside what the complete trials covered; empty when there are none."""
    factors: dict[str, float] = {}
    if basis.measured_parameters:
        factors["total_parameters"] = basis.factor
    if basis.measured_tokens:
        factors["tokens"] = outside(basis.target.tokens, *basis.measured_tokens)
    if basis.measured_batches:
        factors["batch_tokens"] = outside(batch_tokens, *basis.measured_batches)
    return factors


def _warnings(
    basis: Basis, architecture: ArchitectureConfig, rate: RecipeField, factors: dict[str, float]
) -> Iterator[str]:
    if basis.number is None and basis.origin != CENTRE:
        yield "These findings were published: nothing here was measured on your text or your machines."
    elif basis.number is None:
        yield "No trial of the study is complete: nothing here was measured, every value is a default or a law's."
    elif not basis.in_reach:
        published = "Batch, context" if architecture.parametrisation == "mup" else "Learning rate, batch, context"
        yield (
            f"The target is {figures(basis.factor)} times outside the sizes of the trials; a trial's settings are "
            f"trusted up to ×{figures(REACH)} (assumed). {published} and head width are therefore "
            "published values, and what the study found may not hold at this size."
        )
        yield (
            f"The vocabulary of {architecture.vocabulary_size} is that of a far smaller trial, because its corpus gave "
            f"that tokenizer; the paper takes {PAPER_VOCABULARY_SIZE} at 1B parameters (F1)."
        )
    elif not basis.same_scale:
        yield (
            f"The target is {figures(basis.factor)} times outside the sizes of the trials; rankings of small runs "
            "need not hold at scale."
        )
    if basis.number is not None and not basis.same_scale:
        yield from _rate_warning(basis, architecture, rate)
    if factors.get("tokens", 1) > REACH:
        yield f"The run is {figures(factors['tokens'])} times outside the lengths of the trials."
    yield from _share_warning(architecture)
    yield from basis.refused


def _rate_warning(basis: Basis, architecture: ArchitectureConfig, field: RecipeField) -> Iterator[str]:
    """What is said of a rate whose source does not know how it moves with the size."""
    if any(knows_size(law) and law.id in field.reference for law in basis.formulas):
        return
    if architecture.parametrisation == "mup":
        yield (
            "The learning rate is that of the trials: muP keeps the best one over width, and over depth, batch and "
            "length only as far as it was seen to (arXiv 2203.03466, table 1)."
        )
    elif basis.in_reach:
        rate = default_learning_rate(compute_flops(architecture, basis.target.tokens))
        yield (
            "The best learning rate falls with size, and the study knows it at the sizes of its trials only; "
            f"{DEEPSEEK_LAW}, gives {figures(rate)} at this compute."
        )


def _share_warning(architecture: ArchitectureConfig) -> Iterator[str]:
    share = embedding_share(architecture)
    if share > PAPER_EMBEDDING_SHARE:
        total = count_parameters(architecture).total
        yield (
            f"Embedding and head take {share:.0%} of {total:,} parameters, more than the paper's "
            f"{PAPER_EMBEDDING_SHARE:.0%} (F1): a smaller vocabulary would leave more to the layers."
        )
