"""Tables of runs become trials, and what cannot be read is refused by line."""

import contextlib
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import InvalidInput
from search.parameters import METRIC_NAMES, PARAMETER_NAMES
from studies import imports
from studies.imports import parse_objective, read_table
from studies.records import Trial, TrialState

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(text: str, metric: str = "validation_loss") -> list[Trial]:
    return read_table(text.encode(), metric, NOW).trials


def test_standard_columns_are_parameters_or_metrics_and_the_rest_attributes() -> None:
    (trial,) = read("depth,learning_rate,init_scheme,validation_loss,steps,note\n4,1e-3,gpt2,2.5,100,first run\n")
    assert trial.state is TrialState.COMPLETE
    assert trial.parameters == {"depth": 4, "learning_rate": 1e-3, "init_scheme": "gpt2"}
    assert trial.metrics == {"validation_loss": 2.5}
    assert trial.attributes == {"steps": 100, "note": "first run"}
    assert type(trial.parameters["depth"]) is int
    assert trial.finished_at == NOW


@pytest.mark.parametrize("cell", ["", "nan", "inf", "-inf", "1e999"])
def test_a_row_without_a_finite_objective_failed(cell: str) -> None:
    good, bad = read(f"depth,validation_loss\n2,2.5\n3,{cell}\n")
    assert good.state is TrialState.COMPLETE
    assert (bad.number, bad.state, bad.metrics) == (1, TrialState.FAIL, {})
    assert bad.reason is not None
    assert bad.reason.startswith("line 3: validation_loss is ")


def test_numbers_follow_the_rows_and_empty_lines_and_cells_are_left_out() -> None:
    trials = read("\ufeffdepth , validation_loss,bits_per_byte\r\n2,2.5,\r\n\r\n,2.4,nan\r\n")
    assert [trial.number for trial in trials] == [0, 1]
    assert [trial.parameters for trial in trials] == [{"depth": 2}, {}]
    assert [trial.metrics for trial in trials] == [{"validation_loss": 2.5}, {"validation_loss": 2.4}]


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("", "table", "it is empty"),
        ("\n", "table", "it is empty"),
        ("depth,validation_loss\n", "table", "no rows"),
        ("depth,validation_loss\n1,\0\n", "table", "NUL byte"),
        ("depth;validation_loss\n1;2\n", "table", "its header is one cell"),
        ("depth\tvalidation_loss\n1\t2\n", "table", "its header is one cell"),
        ("depth,depth,validation_loss\n1,2,3\n", "table", "'depth' twice"),
        ("depth,,validation_loss\n1,2,3\n", "table", "empty name"),
        ("depth,bits_per_byte\n1,2\n", "objective", "no column validation_loss"),
        ("depth,validation_loss\n1,2\nfour,2\n", "depth", "line 3: 'four' is not a number"),
        ("depth,validation_loss\n1,2\n4,low\n", "validation_loss", "line 3: 'low' is not a number"),
        ("depth,validation_loss\ninf,2\n", "depth", "line 2: 'inf' is not finite"),
        ("depth,validation_loss\n1,2,3\n", "table", "line 2 has 3 cells"),
        ("depth,validation_loss\n1\n", "table", "line 2 has 1 cells"),
        ('depth,validation_loss\n"1,2\n', "table", "line 2"),
    ],
)
def test_unusable_tables_are_refused_with_their_line(text: str, field: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read(text)
    assert refusal.value.field == field
    assert reason in refusal.value.reason
    assert "\n" not in str(refusal.value)


def test_a_table_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_table(b"depth,validation_loss\n\xff,2\n", "validation_loss", NOW)


@pytest.mark.parametrize(("cap", "limit"), [("MAX_BYTES", 10), ("MAX_ROWS", 1), ("MAX_COLUMNS", 1)])
def test_tables_have_limits(monkeypatch: pytest.MonkeyPatch, cap: str, limit: int) -> None:
    monkeypatch.setattr(imports, cap, limit)
    with pytest.raises(InvalidInput, match=r"table: it (holds|has)"):
        read("depth,validation_loss\n1,2\n1,2\n")


def test_objectives() -> None:
    assert parse_objective("bits_per_byte") == ("bits_per_byte", "minimize")
    assert parse_objective("train_tokens_per_second:maximize") == ("train_tokens_per_second", "maximize")
    for unusable in ("loss", "bits_per_byte:up", ":minimize", ""):
        with pytest.raises(InvalidInput, match=r"^objective: "):
            parse_objective(unusable)


@given(cell=st.text(st.characters(exclude_categories=["Cs"], exclude_characters='",\r\n\0'), min_size=1))
def test_any_cell_is_read_or_refused(cell: str) -> None:
    text = f"depth,validation_loss,note\n1,2,{cell}\n"
    (trial,) = read(text)
    assert trial.metrics == {"validation_loss": 2.0}
    with contextlib.suppress(InvalidInput):
        (trial,) = read(f"depth,validation_loss\n{cell},2\n")
        assert all(isinstance(value, int | float) and math.isfinite(value) for value in trial.parameters.values())


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive_the_round_trip(value: float) -> None:
    (trial,) = read(f"validation_loss\n{value!r}\n")
    assert trial.metrics == {"validation_loss": value}


def test_every_standard_name_has_one_role() -> None:
    assert not PARAMETER_NAMES & METRIC_NAMES


def test_cells_that_are_not_finite_are_reported_by_line() -> None:
    table = read_table(
        b"depth,validation_loss,bits_per_byte\n2,nan,1\n3,2.5,inf\n4,,1\n5,2.4,1\n", "validation_loss", NOW
    )
    assert table.unusable == (
        "line 2: validation_loss is nan",
        "line 3: bits_per_byte is inf",
        "line 4: validation_loss is missing",
    )
    assert [trial.state for trial in table.trials].count(TrialState.FAIL) == 2


def test_no_more_cells_are_named_than_anybody_reads() -> None:
    table = read_table(b"validation_loss\n2.5\n" + b"nan\n" * 60, "validation_loss", NOW)
    assert len(table.unusable) == imports.MAX_REPORTED + 1
    assert table.unusable[-1] == "and 10 further cells"
