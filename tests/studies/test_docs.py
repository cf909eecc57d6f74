"""The documentation of the study spec: its examples are specs."""

import re
from pathlib import Path

import pytest

from search.parameters import PARAMETER_NAMES
from studies.spec import StudySpec, load_spec_yaml, parse_spec
from trainer.config import ProxySettings

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


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
