"""What a running search and its results look like."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from api.terminal.chart import HEIGHT, draw_chart
from api.terminal.consoles import printable, short
from api.terminal.formula_card import formula_card
from api.terminal.report import front_of
from api.terminal.search_progress import LiveDisplay, PlainDisplay, SearchDisplay, Tally, search_display
from api.terminal.tables import MAX_ROWS, trial_table
from search.events import AttemptLost, TrialCompleted, TrialEvent, TrialFailed, TrialProgress, TrialPruned, TrialStarted

EVENTS: list[TrialEvent] = [
    TrialStarted(0, {"depth": 2, "learning_rate": 0.002}),
    TrialStarted(1, {"depth": 4, "learning_rate": 0.002}),
    TrialProgress(0, 10, {"bits_per_byte": 4.5}),
    AttemptLost(1, "the worker process died"),
    TrialCompleted(0, {"bits_per_byte": 3.25}, {}),
    TrialStarted(1, {"depth": 4, "learning_rate": 0.002}),
    TrialPruned(1, {"bits_per_byte": 3.0}, {}, "rung 1"),
    TrialStarted(2, {"depth": 8, "learning_rate": 0.1}),
    TrialFailed(2, "the loss is not finite"),
]


def shown(console: Console, tally: Tally) -> str:
    with search_display(console, tally) as display:
        for event in EVENTS:
            display(event)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_plain_lines_one_for_each_trial_that_ends() -> None:
    tally = Tally("bits_per_byte", "minimize", total=4, finished=1, best=3.5)
    text = shown(Console(file=io.StringIO(), width=40), tally)
    assert text.splitlines() == [
        "trial 1 lost its worker and runs again (the worker process died)",
        "[2 of 4] trial 0 complete: bits_per_byte 3.25 depth=2 learning_rate=0.002; best bits_per_byte 3.25",
        "[3 of 4] trial 1 pruned: bits_per_byte 3 (rung 1) depth=4 learning_rate=0.002; best bits_per_byte 3.25",
        "[4 of 4] trial 2 failed (the loss is not finite) depth=8 learning_rate=0.1; best bits_per_byte 3.25",
    ]
    assert "\x1b" not in text


def test_live_display_shows_running_trials() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    tally = Tally("bits_per_byte", "minimize", total=4)
    with search_display(console, tally) as display:
        assert isinstance(display, LiveDisplay)
        for event in EVENTS[:3]:
            display(event)
        with console.capture() as capture:
            console.print(display.render())
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in capture.get().splitlines()]
    assert "0/4" in lines[0]
    assert any("trial 0: step 10, bits_per_byte 4.5  depth=2 learning_rate=0.002" in line for line in lines)
    assert any("trial 1: starting  depth=4" in line for line in lines)


@pytest.mark.parametrize(("direction", "best"), [("minimize", 1.0), ("maximize", 3.0)])
def test_tally_keeps_the_best(direction: str, best: float) -> None:
    tally = Tally("speed", direction, total=3)
    for number, value in enumerate((2.0, 3.0, 1.0)):
        tally.take(TrialCompleted(number, {"speed": value}, {}))
    assert (tally.best, tally.finished) == (best, 3)


def test_the_display_follows_the_terminal() -> None:
    tally = Tally("bits_per_byte", "minimize", total=1)
    display: SearchDisplay = search_display(Console(file=io.StringIO()), tally)
    assert isinstance(display, PlainDisplay)


def test_trials_are_sorted_and_capped() -> None:
    trials = [
        {"number": number, "state": "COMPLETE", "parameters": {"depth": number}, "metrics": {"speed": float(number)}}
        for number in range(MAX_ROWS + 20)
    ]
    table = trial_table(trials, [{"metric": "speed", "direction": "maximize"}])
    assert table.row_count == MAX_ROWS
    assert next(iter(table.columns[0].cells)) == str(MAX_ROWS + 19)
    assert table.caption == f"the first {MAX_ROWS} of {MAX_ROWS + 20}"


def test_the_front_comes_first_and_its_knee_is_marked() -> None:
    objectives = [{"metric": "loss", "direction": "minimize"}, {"metric": "speed", "direction": "maximize"}]
    planted = [(2.0, 5.0), (1.0, 1.0), (1.2, 8.0), (3.0, 9.0), (1.1, 0.5)]
    trials = [
        {"number": number, "state": "COMPLETE", "parameters": {}, "metrics": {"loss": loss, "speed": speed}}
        for number, (loss, speed) in enumerate(planted)
    ]
    table = trial_table(trials, objectives, front_of(objectives, trials))
    assert [column.header for column in table.columns] == ["trial", "state", "loss", "speed", "front"]
    rows = [*zip(table.columns[0].cells, table.columns[-1].cells, strict=True)]
    assert rows == [("1", "front"), ("2", "knee"), ("3", "front"), ("4", ""), ("0", "")]
    assert front_of(objectives[:1], trials) is None
    assert front_of(objectives, []) is None


@given(
    st.lists(st.tuples(st.floats(1, 1e6), st.floats(-1e3, 1e3)), max_size=30),
    st.lists(st.tuples(st.floats(1, 1e6), st.floats(-1e3, 1e3)), max_size=30),
)
def test_a_chart_fits_its_frame(curve: list[tuple[float, float]], points: list[tuple[float, float]]) -> None:
    lines = draw_chart([{"x": x, "y": y} for x, y in curve], [{"x": x, "y": y} for x, y in points], ("x", "y"))
    assert len(lines) in (0, HEIGHT + 1)


def test_a_chart_draws_law_and_points() -> None:
    curve = [{"x": 2.0**k, "y": 4.0**k} for k in range(9)]
    lines = draw_chart(curve, [{"x": 1.0, "y": 65536.0}, {"x": None, "y": 1.0}], ("x", "y"))
    assert [line.split("│")[1].find("·") for line in lines[:HEIGHT]] == [55, 48, 41, 34, 28, 21, 14, 7, 0]
    assert lines[0].split("│")[1][0] == "o"


def test_a_card_states_what_is_not_determined() -> None:
    unknown = {"estimate": None, "low": None, "high": None, "level": 0.95, "unit": "1", "verdict": "undetermined"}
    formula = {
        "id": "1-r1",
        "kind": "learning_rate_batch",
        "statement": "not \x1b[31mdetermined",
        "coefficients": {"r": {**unknown, "paper": {"formula": "F5", "region": (0.4, None), "test": "value"}}},
        "studies": ["1"],
        "supply": {"space": {"batch_tokens": None}},
        "evidence": {"points": [], "curve": [], "axes": ["batch_tokens", "learning_rate"]},
        "observations": 6,
        "held_out_error": None,
        "domain": {"batch_tokens": (512.0, 2e6), "train_tokens": (1e6, 1e6)},
        "verdict": "undetermined",
        "reasons": ["three batches are needed"],
    }
    console = Console(file=io.StringIO(), width=100)
    console.print(formula_card(formula))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for part in (
        "not �[31mdetermined",
        "unknown",
        "F5: 0.4 … ∞",
        "batch_tokens 512–2,000,000, train_tokens 1,000,000",
        "- three batches",
        "formulary formulas 1 --kind learning_rate_batch --suggest-study",
    ):
        assert part in text
    assert "\x1b" not in text


def test_words_for_numbers_and_texts() -> None:
    assert [short(value) for value in (0.002, 1048576.0, 3, 3.14159, "a", 1e12)] == [
        "0.002",
        "1,048,576",
        "3",
        "3.142",
        "a",
        "1e+12",
    ]
    assert printable("a\x1b[2Jb\nc") == "a�[2Jb�c"
