"""Write an export so that a half of one is never seen."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from model.config import FrozenConfig
from model.counts import count_parameters
from model.errors import InvalidInput
from studies.exports import formulary, hf
from studies.exports.provenance import Provenance
from studies.exports.readme import render_readme
from studies.recipe import Recipe, check_format
from trainer.cache import named_write_errors

EXPORTERS = MappingProxyType({"formulary": formulary.EXPORTER, "hf": hf.EXPORTER})
"""Formats by the name a user gives."""


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


def write_export(format: str, recipe: Recipe, provenance: Provenance, storage: Path, folder: Path) -> ExportManifest:
    """Write ``recipe`` to ``folder``, which appears complete or not at all.

    The tokenizer is made from the recipe's corpus, or taken from the cache under ``storage``.

    Raises:
        InvalidInput: the format is unknown or cannot hold the recipe, the folder holds something, or the corpus cannot
            give the tokenizer.
        WriteFailed: the disk is full.
    """
    check_format(format, recipe)
    exporter = EXPORTERS[format]
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidInput(
            "folder", f"{folder.name!r} exists and is not empty", "give a folder that does not exist yet"
        )
    with named_write_errors(Path(folder.name)), _appearing(folder) as unfinished:
        _write_tokenizer(recipe, storage, unfinished)
        recorded = exporter.write(recipe, unfinished)
        _write_config(format, recorded, provenance, unfinished)
        (unfinished / "README.md").write_text(render_readme(recorded, provenance, exporter.usage), encoding="utf-8")
        return _manifest(format, recorded, unfinished)


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


def _write_tokenizer(recipe: Recipe, storage: Path, folder: Path) -> None:
    """Imports the data pipeline when called, because the API reaches this module."""
    from trainer.text.data import prepare

    config = recipe.config
    size = config.architecture.vocabulary_size
    prepared = prepare(config.corpus, size, config.validation_bytes, storage, tokenizer_source=config.tokenizer_source)
    shutil.copyfile(prepared.tokenizer_path, folder / config.tokenizer)


def _write_config(format: str, recipe: Recipe, provenance: Provenance, folder: Path) -> None:
    document = {
        "version": 1,
        "format": format,
        "pretrain": recipe.config.model_dump(mode="json"),
        "recipe": [field.model_dump(mode="json") for field in recipe.fields],
        "extrapolation": recipe.extrapolation,
        "warnings": recipe.warnings,
        "provenance": provenance.model_dump(mode="json"),
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "formulary.json").write_text(text + "\n", encoding="utf-8")


def _manifest(format: str, recipe: Recipe, folder: Path) -> ExportManifest:
    return ExportManifest(
        format=format,
        total_parameters=count_parameters(recipe.config.architecture).total,
        files=tuple(_describe(path, folder) for path in sorted(folder.rglob("*")) if path.is_file()),
        warnings=recipe.warnings,
    )


def _describe(path: Path, folder: Path) -> ExportedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return ExportedFile(name=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=digest)
