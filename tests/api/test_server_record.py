"""server.json: who may read it, and when what it says is over."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from api.server.record import ServerRecord
from model.errors import InvalidInput
from studies.process_identity import this_process

PRINT_IDENTITY = "from studies.process_identity import this_process; print(this_process())"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "server.json"


def test_what_is_written_is_read(path: Path) -> None:
    record = ServerRecord("http://127.0.0.1:8000", "fml_x", this_process())
    record.write(path)
    assert ServerRecord.read(path) == record
    assert not record.is_over()


def test_only_its_owner_reads_it_whatever_was_there(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0o644)
    ServerRecord("http://127.0.0.1:8000", "fml_x", this_process()).write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["server.json"]


def test_a_service_that_was_ended_is_over(path: Path) -> None:
    ServerRecord("http://127.0.0.1:8000", "fml_x", this_process()).as_ended().write(path)
    record = ServerRecord.read(path)
    assert record is not None
    assert record.is_over()
    assert record.key == "fml_x"


def test_a_service_whose_process_has_ended_is_over(path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", PRINT_IDENTITY], capture_output=True, text=True, check=True)
    assert ServerRecord("http://127.0.0.1:8000", "fml_x", ended.stdout.strip()).is_over()


def test_a_server_that_a_person_named_is_never_over(path: Path) -> None:
    path.write_text(json.dumps({"base_url": "https://elsewhere", "key": "fml_x"}))
    record = ServerRecord.read(path)
    assert record == ServerRecord("https://elsewhere", "fml_x")
    assert not record.is_over()


def test_no_file_is_no_record(path: Path) -> None:
    assert ServerRecord.read(path) is None


@pytest.mark.parametrize("process", ["", "x", 5, [], "host:1"])
def test_a_process_that_is_no_identity_is_refused(path: Path, process: object) -> None:
    path.write_text(json.dumps({"base_url": "http://x", "key": "k", "process": process}))
    with pytest.raises(InvalidInput, match="does not hold base_url and key"):
        ServerRecord.read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 60_000, '{"base_url": 5, "key": 5}'], ids=lambda text: text[:9])
def test_what_is_no_record_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(InvalidInput, match="does not hold base_url and key"):
        ServerRecord.read(path)


@pytest.mark.parametrize("bad", ["\u00e9", "a\nb", "\x1b[31m", "\0"])
@pytest.mark.parametrize("name", ["base_url", "key"])
def test_what_no_request_can_carry_is_refused(path: Path, name: str, bad: str) -> None:
    path.write_text(json.dumps({"base_url": "http://x", "key": "k", name: f"http://{bad}"}))
    with pytest.raises(InvalidInput, match="does not hold base_url and key"):
        ServerRecord.read(path)
