import os
from pathlib import Path

import pytest

from model.errors import InvalidInput
from model.files import read_capped


def test_a_file_of_exactly_the_cap_is_read(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"12345")
    assert read_capped(tmp_path / "small", 5, "tokenizer", "give another") == b"12345"
    with pytest.raises(InvalidInput, match=r"^tokenizer: .*small is larger than 4 bytes; give another$"):
        read_capped(tmp_path / "small", 4, "tokenizer", "give another")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent cannot be read .No such file or directory."):
        read_capped(tmp_path / "absent", 5, "tokenizer", "give another")
    with pytest.raises(InvalidInput, match=r"is not a regular file"):
        read_capped(tmp_path, 5, "tokenizer", "give another")


def test_a_pipe_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match=r"is not a regular file"):
        read_capped(tmp_path / "pipe", 5, "tokenizer", "give another")
