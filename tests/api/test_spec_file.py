"""Spec files: read as YAML 1.2 reads numbers, refused with a place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.spec_file import MAX_SPEC_BYTES, read_spec
from model.errors import InvalidInput


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "spec.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-3", 0.001), ("1.0e-3", 0.001), ("2E+4", 20000.0), ("-1e2", -100.0), ("300_000", 300000), ("e3", "e3")],
)
def test_reads_numbers(spec: Path, text: str, value: object) -> None:
    spec.write_text(f"x: {text}")
    read = read_spec(spec)["x"]
    assert read == value
    assert type(read) is type(value)


def test_a_date_stays_a_text(spec: Path) -> None:
    spec.write_text("name: 2024-05-01")
    assert read_spec(spec) == {"name": "2024-05-01"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, }", "line 2, column 8"),
        ("a: 1\na: 2", "line 2, column 1: 'a' is given twice"),
        ("space:\n  depth: {low: 1, low: 2}", "line 2, column 19: 'low' is given twice"),
        ("a: !!python/object/apply:os.getcwd []", "line 1, column 4"),
        ("a: \x00", "not a YAML document"),
        ("a: .inf", "plain values"),
        ("a: &x [*x]", "plain values"),
        ("[" * 5000, "plain values"),
        ("- 1", "holds no fields"),
        ("", "holds no fields"),
        ("just words", "holds no fields"),
    ],
)
def test_refuses_in_one_line(spec: Path, text: str, message: str) -> None:
    spec.write_text(text)
    with pytest.raises(InvalidInput, match="spec.yaml") as caught:
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
    try:
        assert isinstance(read_spec(path), dict)
    except InvalidInput:
        pass
