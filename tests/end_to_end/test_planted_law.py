"""A study whose results follow a planted law recovers that law."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path


def planted_runs(exponent: float, noise: float) -> str:
    """A table whose best rate is 3e-3 · (B / 65536)^exponent, with seed noise and a bowl steeper at high rates."""
    generator = random.Random(7)
    lines = ["learning_rate,batch_tokens,validation_loss"]
    for batch in (16_384, 32_768, 65_536, 131_072, 262_144, 524_288):
        best = math.log(3e-3 * (batch / 65_536) ** exponent)
        for step in range(-5, 6):
            rate = 3e-3 * 2.0**step * 1.1
            distance = math.log(rate) - best
            loss = 2.5 + 0.03 * distance**2 * (1.3 if distance > 0 else 1.0) + generator.gauss(0, noise)
            lines.append(f"{rate},{batch},{loss}")
    return "\n".join(lines) + "\n"


def formulary(home: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("formulary")), *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_planted_exponent_is_recovered(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(planted_runs(exponent=0.5, noise=0.003))
    study_id = formulary(
        tmp_path, "import", str(tmp_path / "runs.csv"), "--name", "planted", "--objective", "validation_loss"
    ).splitlines()[-1]
    (law,) = json.loads(formulary(tmp_path, "formulas", study_id, "--json"))
    r = law["coefficients"]["r"]
    assert law["kind"] == "learning_rate_batch"
    assert r["low"] <= 0.5 <= r["high"]
    assert law["verdict"] == "recovered"


def test_other_exponent_is_refuted(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(planted_runs(exponent=0.1, noise=0.003))
    study_id = formulary(
        tmp_path, "import", str(tmp_path / "runs.csv"), "--name", "planted", "--objective", "validation_loss"
    ).splitlines()[-1]
    (law,) = json.loads(formulary(tmp_path, "formulas", study_id, "--json"))
    r = law["coefficients"]["r"]
    assert r["low"] <= 0.1 <= r["high"]
    assert law["verdict"] == "refuted"
