"""A disk that is full: what could not be written is named, nothing half written stays, and what was there is kept."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
from safetensors import SafetensorError

from model.errors import FormularyError, WriteFailed
from trainer.cache import cached_folder, write_atomically
from trainer.checkpoints import rows
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.pretrain import pretrain
from trainer.text.data import PreparedData, prepare

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

PROGRAM = """
import resource, sys
from pathlib import Path
from trainer.config import JsonlCorpus
from trainer.text.data import prepare
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    prepare(JsonlCorpus(kind="jsonl", path=sys.argv[1]), 280, 10_000, Path(sys.argv[2]))
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def left_overs(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.partial") if path.exists()]


@pytest.mark.parametrize(("largest", "room"), [(1000, "tokenizers"), (100_000, "shards")])
def test_a_cache_that_cannot_be_written_is_named_and_written_later(
    corpus: JsonlCorpus, tmp_path: Path, largest: int, room: str
) -> None:
    command = [sys.executable, "-c", PROGRAM, corpus.path, str(tmp_path), str(largest)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"WriteFailed: {tmp_path / room}")
    assert "could not be written: File too large; free some space there" in said
    assert left_overs(tmp_path) == []
    assert prepare(corpus, 280, 10_000, tmp_path).train.size > 1000


def test_an_entry_whose_writer_fails_is_removed(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise FULL

    with pytest.raises(
        WriteFailed, match=r"key could not be written: No space left on device; free some space"
    ) as error:
        cached_folder(tmp_path / "key", lambda folder: folder.exists(), write)
    assert isinstance(error.value, FormularyError)
    assert left_overs(tmp_path) == []
    assert not (tmp_path / "key").exists()


def test_a_small_file_keeps_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "latest"
    write_atomically(path, b"before")

    def half(self: Path, content: bytes) -> int:
        os.close(os.open(self, os.O_CREAT | os.O_WRONLY))
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(WriteFailed, match="latest could not be written: No space left"):
        write_atomically(path, b"after")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("latest", b"before")]


@pytest.mark.parametrize("failure", [FULL, SafetensorError("I/O error: No space left on device (os error 28)")])
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    config: ProxyConfig,
    data: PreparedData,
    corpus: JsonlCorpus,
    storage: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    shutil.copy(data.tokenizer_path, tmp_path / "tokenizer.json")
    fields = {**config.model_dump(mode="json"), "checkpoint_every_steps": 4}
    (tmp_path / "formulary.json").write_text(json.dumps({"version": 1, "pretrain": fields, "recipe": []}))
    run = pretrain(tmp_path, storage, [Path(corpus.path).parent])
    list(islice(run, 5))
    while not (tmp_path / "checkpoints" / "latest").exists():  # a thread writes it
        time.sleep(0.01)
    save_file = rows.save_file

    def fill(tensors: object, path: Path, metadata: object) -> None:
        if path.name == "optimizer.safetensors":
            raise failure
        save_file(tensors, path, metadata)

    monkeypatch.setattr(rows, "save_file", fill)
    with pytest.raises(WriteFailed, match=r"step-00000008 could not be written: .*No space left on device"):
        list(run)
    monkeypatch.undo()
    assert left_overs(tmp_path) == []
    assert [result.step for result in pretrain(tmp_path, storage, [Path(corpus.path).parent])] == list(range(5, 13))
