"""YAML that is written is read back as it was."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from studies.specs.yaml import dump_spec_yaml, load_spec_yaml

WORDS = st.sampled_from(["1e3", "yes", "null", "0x1f", "1_000", "~", "=", "<<", "- a", "a: b", "1:30", "2026-01-01"])
TEXTS = WORDS | st.text(st.characters(exclude_categories=["C"], include_characters="\n\t\x85"), max_size=30)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
DOCUMENTS = st.dictionaries(TEXTS, st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4), max_leaves=8))


@given(DOCUMENTS)
def test_what_is_written_is_read_back(document: dict[str, Any]) -> None:
    assert load_spec_yaml(dump_spec_yaml(document)) == document
