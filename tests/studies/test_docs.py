"""The documentation: its specs are specs, and its snippets give what the code gives."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from search.parameters import PARAMETER_NAMES
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.evaluation import evaluate
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext
from studies.formulas.simulation.planted import DepthPlan, RateBatchPlan, plant_depth_width, plant_rate_batch
from studies.spec import StudySpec
from studies.specs.parsing import parse_spec
from studies.specs.yaml import load_spec_yaml
from trainer.config import ProxySettings

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "spec.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE + README, flags=re.DOTALL | re.MULTILINE)


def test_the_page_has_examples():
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_a_spec(text):
    assert parse_spec(load_spec_yaml(text)).name


@pytest.mark.parametrize("name", sorted({*StudySpec.model_fields, *ProxySettings.model_fields, *PARAMETER_NAMES}))
def test_every_field_is_described(name):
    """In a table row: between backquotes, alone or as the start of a dotted name."""
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert any(re.search(rf"`{name}[.`]", row) for row in rows)


def planted(kind):
    """A fitted formula and the variables at which it is evaluated."""
    generator, context = np.random.default_rng(0), FitContext(("1",), "validation_loss")
    if kind == "depth":
        return fit_depth_width(plant_depth_width(DepthPlan(), generator), context)[0], {"depth": 3, "ffn_ratio": 2.0}
    plan = RateBatchPlan(exponent_above=0.0) if kind == "broken_power" else RateBatchPlan()
    return fit_learning_rate_batch(plant_rate_batch(plan, generator), context)[0], {"batch_tokens": 400_000}


@pytest.mark.parametrize("kind", ["power", "broken_power", "depth"])
def test_the_snippet_evaluates_as_the_code_does(kind, tmp_path, monkeypatch, capsys):
    formula, variables = planted(kind)
    assert kind in ("depth", formula.form)
    (snippet,) = re.findall(
        r"^```python\n(.*?)^```", (DOCS / "formulas.md").read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    (tmp_path / "snippet.py").write_text(snippet, encoding="utf-8")
    document = formula.model_dump(mode="json")
    (tmp_path / "formulas.json").write_text(json.dumps([document]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    own = runpy.run_path("snippet.py")["evaluate"](document, **variables)
    expected = evaluate(formula, variables)
    assert own == pytest.approx([expected.estimate, expected.low, expected.high], rel=1e-9)
    assert capsys.readouterr().out.startswith("[") == (kind != "depth")
