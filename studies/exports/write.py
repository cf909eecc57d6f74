"""Write an export so that a half of one is never seen."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from model.config import FrozenConfig
from model.counts import count_parameters
from model.errors import InvalidInput
from studies.exports import formulary, hf, internevo, litgpt, torchtitan
from studies.exports.exporter import Exporter
from studies.exports.provenance import Provenance
from studies.exports.readme import render_readme, title
from studies.exports.run import Run, realise
from studies.exports.smoke import SmokeTest
from studies.recipe import Recipe, check_format
from trainer.cache import named_write_errors

EXPORTERS = MappingProxyType(
    {
        "formulary": formulary.EXPORTER,
        "hf": hf.EXPORTER,
        "litgpt": litgpt.EXPORTER,
        "torchtitan": torchtitan.EXPORTER,
        "internevo": internevo.EXPORTER,
    }
)
"""Formats by the name a user gives."""
EVIDENCE = {"regrets", "divergence", "laws", "prediction", "expectation", "data", "plan"}
"""What a recipe says beside its values."""


class ExportedFile(FrozenConfig):
    """One file of an export."""

    name: str
    """Path relative to the folder."""
    size: int
    """Bytes."""
    sha256: str


class ExportManifest(FrozenConfig):
    """What was written."""

    format: str
    total_parameters: int
    files: tuple[ExportedFile, ...]
    warnings: tuple[str, ...]
    """The recipe's warnings, for whoever does not open the README."""
    differences: tuple[str, ...]
    """What goes otherwise in the format than in ``formulary pretrain``."""
    smoke_test: SmokeTest
    """What was tried with the folder before it was offered."""


def write_export(format: str, recipe: Recipe, provenance: Provenance, storage: Path, folder: Path) -> ExportManifest:
    """Write ``recipe`` to ``folder``, which appears when it is complete and was tried, or not at all.

    The tokenizer is made from the recipe's corpus, or taken from the cache under ``storage``.

    Raises:
        InvalidInput: the format is unknown or cannot hold the recipe, the folder holds something, the corpus cannot
            give the tokenizer, the run cannot be realised, or the parent cannot be inherited from.
        SmokeTestFailed: what was written does not work.
        WriteFailed: the disk is full.
    """
    check_format(format, recipe)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidInput(
            "folder", f"{folder.name!r} exists and is not empty", "give a folder that does not exist yet"
        )
    with named_write_errors(Path(folder.name)), _appearing(folder) as unfinished:
        run = _prepare(recipe, storage, unfinished, inheriting=EXPORTERS[format].has_weights)
        return _write_tested(format, run, provenance, storage, unfinished)


def _write_tested(format: str, run: Run, provenance: Provenance, storage: Path, folder: Path) -> ExportManifest:
    exporter: Exporter = EXPORTERS[format]
    recorded = exporter.write(run, title(run.recipe, provenance), folder)
    differences = tuple(exporter.differences(run.config))
    document = _document(format, recorded, provenance, differences)
    _write_config(document, folder)
    smoke_test = exporter.smoke(run, folder, storage)
    _write_config({**document, "smoke_test": smoke_test.model_dump(mode="json")}, folder)
    page = render_readme(recorded, provenance, exporter.usage(run), differences, smoke_test)
    (folder / "README.md").write_text(page, encoding="utf-8")
    return ExportManifest(
        format=format,
        total_parameters=count_parameters(recorded.config.architecture).total,
        files=tuple(_describe(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()),
        warnings=recorded.warnings,
        differences=differences,
        smoke_test=smoke_test,
    )


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder beside ``folder`` that takes its name when the block ends well, and is removed otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.parent / f".{folder.name}.{uuid4().hex}"
    unfinished.mkdir()
    try:
        yield unfinished
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _prepare(recipe: Recipe, storage: Path, folder: Path, inheriting: bool) -> Run:
    """Write the tokenizer; ``inheriting`` takes the weights from the recipe's parent, where it has one.

    Imports the data pipeline when called, because the API reaches this module.
    """
    from trainer.text.data import prepare

    config = recipe.config
    size = config.architecture.vocabulary_size
    prepared = prepare(config.corpus, size, config.validation_bytes, storage, tokenizer_source=config.tokenizer_source)
    shutil.copyfile(prepared.tokenizer_path, folder / config.tokenizer)
    run = realise(recipe, prepared.bytes_per_token)
    if config.inheritance is None or not inheriting:
        return run
    from trainer.inheritance.start import inherited_start
    from trainer.parallel.world import alone

    return replace(run, start=inherited_start(config, prepared, storage, alone().device))


def _document(format: str, recipe: Recipe, provenance: Provenance, differences: tuple[str, ...]) -> dict[str, Any]:
    return {
        "version": 1,
        "format": format,
        "pretrain": recipe.config.model_dump(mode="json"),
        "recipe": [field.model_dump(mode="json") for field in recipe.fields],
        "extrapolation": recipe.extrapolation,
        "evidence": recipe.model_dump(mode="json", include=EVIDENCE),
        "warnings": recipe.warnings,
        "differences": differences,
        "provenance": provenance.model_dump(mode="json"),
    }


def _write_config(document: dict[str, Any], folder: Path) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "formulary.json").write_text(text + "\n", encoding="utf-8")


def _describe(path: Path, folder: Path) -> ExportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ExportedFile(name=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=digest)
