"""Every database test here runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studies.database import Database


@pytest.fixture
def empty_database(empty_url: str) -> Iterator[Database]:
    with Database(empty_url) as database:
        yield database


@pytest.fixture
def database(empty_database: Database) -> Database:
    empty_database.migrate()
    return empty_database


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    """A folder with a corpus that is quickly read."""
    folder = tmp_path / "corpora"
    folder.mkdir()
    lines = (f"Line {number} of a text that is just long enough, {number**3}.\n" for number in range(2000))
    (folder / "text.txt").write_text("".join(lines), encoding="utf-8")
    return [folder]


@pytest.fixture
def document() -> dict[str, Any]:
    """The spec of a study with six trials: three depths, two rates each."""
    return {
        "version": 1,
        "name": "small study",
        "space": {"depth": {"type": "int", "low": 1, "high": 3}},
        "inner": {"learning_rate": [1e-3, 2e-3]},
        "sampler": {"kind": "grid"},
        "proxy": {"corpus": {"kind": "text", "path": "text.txt"}, "train_tokens": 1000, "validation_bytes": 1000},
        "max_trial_count": 6,
    }
