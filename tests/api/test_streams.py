"""Commands write to whatever they are given: a closed stream, or one whose encoding lacks characters."""

import io
import json
import sys

import pytest

from api.terminal.consoles import results
from api.terminal.streams import open_streams, print_json


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)


def written(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode("ascii")


def test_tables_replace_what_the_encoding_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = ascii_stream()
    monkeypatch.setattr(sys, "stdout", stream)
    open_streams()
    results().print("0.4 … ∞")
    assert written(stream).strip() == "0.4 ? ?"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_json_keeps_every_character(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    document = {"statement": "lr* = 2·B", "name": "深度😀"}
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    print_json(document)
    assert isinstance(stream.buffer, io.BytesIO)
    assert json.loads(stream.buffer.getvalue().decode(encoding)) == document


def test_closed_streams_swallow_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    open_streams()
    results().print("nobody reads this")
    print_json({})
