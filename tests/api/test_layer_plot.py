"""The plot of a parent's layers: its form, and which records a study's page may read."""

from pathlib import Path
from typing import Any

import pytest

from api.plots.layers import layer_figure
from model.inheritance.layers import LayerImportance
from studies.service import inherited

IMPORTANCE = LayerImportance(bits_per_byte=2.0, skipped=((3.9, 2.1, 2.2), (4.0, 2.5)))


def test_each_point_lies_at_the_middle_of_what_is_skipped() -> None:
    figure = layer_figure(IMPORTANCE, kept=(0, 2))
    first, second = figure["data"]
    assert (first["x"], first["y"]) == ([0, 1, 2], [3.9, 2.1, 2.2])
    assert (second["x"], second["y"]) == ([0.5, 1.5], [4.0, 2.5])
    assert [text for text, _ in second["customdata"]] == ["layers 0 to 1", "layers 1 to 2"]
    whole, *grounds = figure["layout"]["shapes"]
    assert whole["y0"] == 2.0
    assert [(ground["x0"] + ground["x1"]) / 2 for ground in grounds] == [0, 2]


def test_a_study_without_a_record_says_so() -> None:
    figure = layer_figure(None)
    assert figure["data"] == []
    assert "no trial" in figure["layout"]["annotations"][0]["text"]


@pytest.mark.parametrize("key", ["../../etc", "a" * 63, "A" * 64, 7, None])
def test_what_is_no_content_key_names_no_file(key: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise AssertionError(f"{folder} was read")

    monkeypatch.setattr(inherited, "read_record", refuse)
    assert list(inherited._records(tmp_path, [key])) == []
