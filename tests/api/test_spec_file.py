"""Spec files are read, or refused in one line that names the file and the place."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.spec_file import read_spec
from model.errors import InvalidInput
from studies.specs.yaml import MAX_SPEC_BYTES


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "spec.yaml"


def test_reads_yaml_and_json(spec: Path) -> None:
    spec.write_text("learning_rate: [1e-3]\n")
    assert read_spec(spec) == {"learning_rate": [0.001]}
    spec.write_text('{"learning_rate": [1e-3]}')
    assert read_spec(spec) == {"learning_rate": [0.001]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, }", "line 2, column 8"),
        ("a: 1\na: 2", "line 2, column 1: 'a' is given twice"),
        ("a: !!python/object/apply:os.getcwd []", "line 1, column 4"),
        ("a: \x00", "not YAML"),
        ("a: {b: [1, .inf]}", "a.b.1 is inf; write a finite number"),
        ('a: "\\ud800"', "a holds half a surrogate pair"),
        ('"\\ud800": 1', "has the key"),
        ("on: 1", "the spec has the key True; use a text, in quotes"),
        ("a: 2024-05-01", "in quotes"),
        ("a: !!set {b}", "JSON lacks"),
        ("a: &x [*x]", "nested deeper"),
        ("- 1", "holds no fields"),
        ("", "holds no fields"),
    ],
)
def test_refuses_in_one_line(spec: Path, text: str, message: str) -> None:
    spec.write_text(text)
    with pytest.raises(InvalidInput, match=r"spec\.yaml") as caught:
        read_spec(spec)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refuses_what_is_no_readable_file(spec: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read_spec(spec)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_spec(tmp_path)
    spec.write_bytes(b"a: \xff")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_spec(spec)
    spec.write_bytes(b"#" * (MAX_SPEC_BYTES + 1))
    with pytest.raises(InvalidInput, match="longer than"):
        read_spec(spec)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(InvalidInput):
        assert isinstance(read_spec(path), dict)
