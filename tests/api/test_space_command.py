"""``formulary space``: what a spec's space holds, as a table and as JSON, and how it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.cli import app

SPEC = """
name: families
space:
  block: {type: categorical, choices: [llama, pangu_pi]}
  depth: {type: int, low: 2, high: 24}
  kv_heads: {type: categorical, choices: [1, 2]}
  vocabulary_size: {type: categorical, choices: [512, 32000]}
  learning_rate: {type: float, low: 1e-4, high: 1e-2, log: true}
inner: {seed: [0, 1]}
conditions: {kv_heads: {block: llama}}
constraints:
  total_parameters: {target: 1_000_000}
  embedding_share: {high: 0.2}
  expressions: ["depth * width <= 1200", "learning_rate * depth <= 0.05"]
proxy: {train_bytes: 1_000_000}
max_trial_count: 24
"""


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("FORMULARY_HOME", str(tmp_path / "home"))
    path = tmp_path / "spec.yaml"

    def run(*options: str, text: str = SPEC) -> Result:
        path.write_text(text, encoding="utf-8")
        return CliRunner().invoke(app, ["space", str(path), *options], env={"COLUMNS": "200"})

    return run


def test_a_space_is_shown_with_what_it_leaves_out_and_costs(show: Callable[..., Result], tmp_path: Path) -> None:
    result = show("--flops-per-second", "1e12")
    assert result.exit_code == 0, result.output
    for said in (
        "each trained at 2 inner points",
        "of draws are accepted (of 16,384 tried)",
        "block = llama",
        "vocabulary_size 32000",
        "constraints.expressions.0: depth * width <= 1200",
        "24 trials of",
        "of training, one trial after the other",
        "1e+12 FLOP/s, as given",
    ):
        assert said in result.stdout, said
    assert not (tmp_path / "home").exists()


def test_json_is_what_the_api_answers(show: Callable[..., Result]) -> None:
    document: dict[str, Any] = json.loads(show("--json").stdout)
    assert document["conditions"] == {"kv_heads": {"block": ["llama"]}}
    assert document["excluded"] == {"vocabulary_size": [32000], "depth": list(range(19, 25))}
    assert 0.5 < document["acceptance"] < 1
    assert [one["field"] for one in document["exclusions"]] == [
        "constraints.total_parameters",
        "constraints.embedding_share",
        "constraints.expressions.0",
        "constraints.expressions.1",
    ]
    assert document["cost"]["trials"] == 24
    assert document["cost"]["device_seconds"] is None


def test_a_bad_space_is_refused_in_one_line(show: Callable[..., Result]) -> None:
    result = show(text=SPEC.replace("depth * width <= 1200", "depth * widht <= 1200"))
    assert result.exit_code == 1
    assert "constraints.expressions.0: column 9: widht is not a parameter" in result.stderr
    assert "did you mean width?" in result.stderr
    assert len(result.stderr.splitlines()) == 1
