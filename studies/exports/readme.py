"""The page that an export carries: what it is, where each field comes from, and how to start it."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from model.counts import count_parameters
from studies.exports.provenance import Provenance
from studies.exports.smoke import SmokeTest
from studies.recipe import Leaf, Recipe, RecipeField, placed
from studies.recipe.evidence import FieldRange
from studies.recipe.recipe import figures

PAGE = """\
# {title}

A full-training config written by Formulary from study {study_id} ({study_name}), spec `{digest}`.
The model has {parameters:,} parameters: depth {depth}, width {width}, FFN width {ffn_width}, vocabulary {vocabulary:,}.

## Start it

    formulary pretrain DIR

where DIR is this folder. It goes on from the last checkpoint when it is started again.

{usage}
## What was tried before this was offered

{smoke_test}

{differences}
## What was validated

{validation}

## What to keep in mind

{warnings}

## Where each field comes from

| field | value | range | source | reference | note |
|---|---|---|---|---|---|
{fields}

## What it starts from, its rounds and its teacher

{plan}

## What the run takes

{takes}

## How far this reaches beyond the trials

{extrapolation}

## Provenance

{provenance}
"""


DIFFERENCES = """\
## What goes otherwise than in formulary pretrain

{lines}

"""
PATHS = ("corpus.path", "tokenizer_source.path", "inheritance.parent", "distillation.teacher")
"""Fields of which the page shows the last part."""
METHODS = {
    "training": "Steps were trained with {software}.",
    "loading": "It was loaded with {software}.",
    "schema": "It was compared with {software}.",
}


def title(recipe: Recipe, provenance: Provenance) -> str:
    """What an export is called: its study and its size."""
    return f"{provenance.study_name}: {count_parameters(recipe.config.architecture).total:,} parameters"


def render_readme(
    recipe: Recipe, provenance: Provenance, usage: str, differences: Sequence[str], smoke_test: SmokeTest
) -> str:
    """The README of an export in Markdown; ``usage`` is the format's own way to start it."""
    architecture = recipe.config.architecture
    return PAGE.format(
        title=_cell(title(recipe, provenance)),
        study_id=provenance.study_id,
        study_name=_cell(provenance.study_name),
        digest=provenance.spec_digest[:12],
        parameters=count_parameters(architecture).total,
        depth=architecture.depth,
        width=architecture.width,
        ffn_width=architecture.ffn_width,
        vocabulary=architecture.vocabulary_size,
        usage=usage,
        smoke_test=_bullets(smoke_test_lines(smoke_test), ""),
        differences=DIFFERENCES.format(lines=_bullets(differences, "")) if differences else "",
        validation=_bullets(provenance.validation.words, ""),
        warnings=_bullets(recipe.warnings, "Nothing in this config reaches beyond what was measured."),
        fields="\n".join(_row(field) for field in recipe.fields),
        plan=_bullets(_plan(recipe), "Its weights are drawn from the seed; it reads its text in one round, alone."),
        takes=_bullets(_takes(recipe), "Nothing was predicted: this is the config of a trial."),
        extrapolation=_bullets(
            [f"`{name}`: {placed(factor, 'the measured range')}" for name, factor in recipe.extrapolation.items()],
            "Nothing to compare with: this is the config of a trial, or the study has none.",
        ),
        provenance=_bullets(_provenance_lines(provenance), ""),
    )


def smoke_test_lines(smoke_test: SmokeTest) -> list[str]:
    """What was tried and what was not, a sentence each."""
    tried = METHODS[smoke_test.method].format(software=smoke_test.software)
    counted = f"It has {smoke_test.parameters:,} parameters, counted from the files: as many as the recipe."
    return [tried, *smoke_test.done, counted, *(f"Not tried: {line}" for line in smoke_test.left_out)]


def _row(field: RecipeField) -> str:
    value = _shown(field.name, field.value)
    cells = (_cell(value), _range(field.range), field.source, _cell(field.reference), _cell(field.note))
    return f"| `{field.name}` | {' | '.join(cells)} |"


def _range(ends: FieldRange | None) -> str:
    if ends is None or not ends.known:
        return ""
    return " to ".join("?" if end is None else figures(end) for end in (ends.low, ends.high))


def _shown(name: str, value: Leaf) -> str:
    """A value as the page shows it: of a path only its last part, since folders belong to one machine."""
    if value is None:
        return "left out"
    if name in PATHS:
        return PurePath(str(value)).name
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.6g}"
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def _plan(recipe: Recipe) -> Iterator[str]:
    """Parent, rounds and teacher, as far as the run has them."""
    plan = recipe.plan
    if plan is None:
        return
    if plan.start is not None:
        start = plan.start
        yield (
            f"weights inherited from {start.parent} ({start.parent_parameters:,} parameters): {start.depth} of "
            f"{start.parent_depth} layers by {start.layers}, channels and heads by {start.neurons}; choosing them "
            f"takes {figures(start.flops)} FLOPs ({start.basis})"
        )
    for part in plan.rounds if len(plan.rounds) > 1 else ():
        length = f"{part.share:.1%} of the steps" if part.tokens is None else f"{part.tokens:,} tokens"
        yield f"round {part.number}: {length}, {part.reads}"
    if plan.teacher is not None:
        told = plan.teacher
        yield (
            f"teacher {told.teacher} ({told.teacher_parameters:,} parameters): {figures(told.weight)} of the loss at "
            f"temperature {figures(told.temperature)}"
        )
    if plan.tokens is not None and plan.total_tokens is not None:
        beside = f"; with what inheriting and a teacher take, the FLOPs of {plan.total_tokens:,.0f}"
        yield f"{plan.tokens:,} training tokens{beside if plan.start or plan.teacher else ''}"


def _takes(recipe: Recipe) -> Iterator[str]:
    """Work, memory, time, epochs and the risk of divergence, as far as the recipe says them."""
    prediction, data, risk = recipe.prediction, recipe.data, recipe.divergence
    if prediction is not None:
        yield f"{prediction.steps:,} steps, {figures(prediction.train_flops)} FLOPs"
        if prediction.days is not None:
            low, high = map(figures, prediction.days)
            yield f"{low} to {high} days on {prediction.gpus} GPUs ({prediction.mfu_basis})"
        if prediction.memory_bytes is not None:
            yield f"{figures(prediction.memory_bytes / 2**30)} GiB of each GPU ({prediction.memory_basis})"
    if data is not None and data.epochs is not None:
        yield f"{figures(data.epochs)} epochs over the corpus ({data.basis})"
    if risk is not None and risk.share is not None:
        yield (
            f"{risk.diverged} of {risk.runs} runs near this learning rate diverged: {risk.share:.0%}, "
            f"{risk.level:.0%} interval {risk.low:.0%} to {risk.high:.0%} ({risk.note})"
        )


def _provenance_lines(provenance: Provenance) -> list[str]:
    formulas = [f"{item.kind} `{item.id}` revision {item.revision}: {item.verdict}" for item in provenance.formulas]
    return [
        f"written {provenance.created_at:%Y-%m-%d %H:%M} UTC",
        f"trials {_ranges(provenance.trials)}",
        *[f"formula {line}" for line in formulas],
        "versions " + ", ".join(f"{name} {version}" for name, version in provenance.versions.items()),
        f"Formulary at commit {provenance.git_revision or 'unknown (installed as a package)'}",
    ]


def _ranges(numbers: tuple[int, ...]) -> str:
    """Sorted numbers in short, e.g. ``0-3, 7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs) or "none"


def _bullets(lines: Iterable[str], otherwise: str) -> str:
    return "\n".join(f"- {_cell(line)}" for line in lines) or otherwise


def _cell(text: str) -> str:
    """Text that cannot break out of a table cell or a line."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
