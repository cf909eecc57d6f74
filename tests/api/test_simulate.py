"""``formulary simulate`` on an imported table."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app

RATES = [1e-3 * 2**place for place in range(6)]
BATCHES = [512 * 2**place for place in range(5)]


@pytest.fixture
def home(tmp_path: Path) -> list[str]:
    """A home with study 1: a bowl over the rate and the batch."""
    rows = ["learning_rate,batch_tokens,train_tokens,bits_per_byte"]
    for place, rate in enumerate(RATES):
        for row, batch in enumerate(BATCHES):
            rows.append(f"{rate},{batch},1000,{2 + 0.1 * (place - 3) ** 2 + 0.1 * (row - 2) ** 2}")
    table = tmp_path / "runs.csv"
    table.write_text("\n".join(rows))
    given = ["--home", str(tmp_path / "home")]
    imported = CliRunner().invoke(app, [*given, "import", str(table), "--name", "bowl", "--objective", "bits_per_byte"])
    assert imported.exit_code == 0, imported.output
    return given


def test_samplers_are_compared_on_a_recorded_study(home: list[str]) -> None:
    asked = [*home, "simulate", "1", "--sampler", "random", "--sampler", "bowl", "--seeds", "5", "--json"]
    printed = CliRunner().invoke(app, asked)
    assert printed.exit_code == 0, printed.output
    random, bowl = json.loads(printed.stdout)
    assert (random["sampler"], bowl["sampler"]) == ("random", "bowl")
    assert bowl["mean_trials"] < random["mean_trials"] <= 30
    assert bowl["mean_cost"] == pytest.approx(1000 * bowl["mean_trials"])
    table = CliRunner().invoke(app, [*home, "simulate", "1", "--sampler", "bowl", "--seeds", "2"])
    assert table.exit_code == 0
    assert "bowl" in table.output


def test_an_unknown_sampler_is_refused_by_name(home: list[str]) -> None:
    refused = CliRunner().invoke(app, [*home, "simulate", "1", "--sampler", "bayes"])
    assert refused.exit_code == 1
    assert "'bayes' is no sampler" in refused.output
