import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

from model.errors import InvalidInput
from model.tokenizer import END_OF_TEXT, END_OF_TEXT_ID, save, train_tokenizer
from trainer.cache import cached_folder, write_atomically
from trainer.config import JsonlCorpus
from trainer.text import cached_corpus
from trainer.text.corpus import load_documents, split
from trainer.text.data import Batches, PreparedData, prepare
from trainer.text.shards import covering_vocabulary, token_sizes, token_type, write_shards

VOCABULARY_SIZE, VALIDATION_BYTES = 300, 10_000


def decode(data: PreparedData, tokens: np.ndarray) -> list[str]:
    texts = np.split(tokens, np.flatnonzero(tokens == END_OF_TEXT_ID))[1:]
    return [data.tokenizer.decode(text[1:].tolist()) for text in texts]


def test_shards_hold_the_split_text_exactly(corpus: JsonlCorpus, data: PreparedData) -> None:
    expected = split(load_documents(corpus), VALIDATION_BYTES)
    assert decode(data, data.validation) == list(expected.validation)
    assert decode(data, data.train) == list(expected.train)
    assert data.manifest.train_bytes == expected.train_bytes == data.token_bytes[data.train].sum()
    assert isinstance(data.train, np.memmap)


@pytest.mark.parametrize("vocabulary_size", [257, 300, 512])
def test_the_validation_bytes_are_the_same_for_every_tokenizer(
    corpus: JsonlCorpus, storage: Path, vocabulary_size: int
) -> None:
    data = prepare(corpus, vocabulary_size, VALIDATION_BYTES, storage)
    assert data.token_bytes[data.validation].sum() == data.manifest.validation_bytes == VALIDATION_BYTES
    assert data.token_bytes.size == vocabulary_size


def test_end_of_text_spelled_in_a_document_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"{n} {END_OF_TEXT} {n}" * 20}) for n in range(50)))
    data = prepare(JsonlCorpus(kind="jsonl", path=str(path)), 270, 1000, tmp_path / "storage")
    assert np.count_nonzero(data.train == END_OF_TEXT_ID) == sum(
        END_OF_TEXT in text for text in decode(data, data.train)
    )
    assert data.token_bytes[data.validation].sum() == 1000


def test_large_vocabularies_take_wider_integers() -> None:
    assert token_type(2**16) == np.uint16
    assert token_type(2**16 + 1) == np.uint32


def test_a_tokenizer_that_changes_the_text_is_refused(corpus: JsonlCorpus, data: PreparedData, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_str(data.tokenizer.to_str())
    tokenizer.normalizer = normalizers.NFKD()
    with pytest.raises(InvalidInput, match="stand for"):
        write_shards(tmp_path, split(load_documents(corpus), VALIDATION_BYTES), tokenizer, ("", ""))


def test_a_given_tokenizer_must_have_the_size_of_the_architecture(
    corpus: JsonlCorpus, storage: Path, data: PreparedData
) -> None:
    same = prepare(corpus, VOCABULARY_SIZE, VALIDATION_BYTES, storage, data.tokenizer_path)
    assert same.manifest == data.manifest
    with pytest.raises(InvalidInput, match="has 300 tokens, the architecture has 512"):
        prepare(corpus, 512, VALIDATION_BYTES, storage, data.tokenizer_path)


def test_a_prepared_corpus_is_not_read_again(
    corpus: JsonlCorpus, storage: Path, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_corpus, "load_documents", lambda *_: pytest.fail("the corpus was read"))
    assert prepare(corpus, VOCABULARY_SIZE, VALIDATION_BYTES, storage).manifest == data.manifest


def test_a_changed_corpus_gets_other_shards(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    corpus = JsonlCorpus(kind="jsonl", path=str(path))
    fingerprints = set()
    for word in ("one", "two"):
        path.write_text("\n".join(json.dumps({"text": f"{word} {n} " * 20}) for n in range(100)))
        fingerprints.add(prepare(corpus, 260, 1000, tmp_path / "storage").manifest.corpus_fingerprint)
    assert len(fingerprints) == 2


@pytest.mark.parametrize("damage", ["truncate", "extend", "no manifest", "bad manifest", "no shard"])
def test_damaged_shards_are_built_again(corpus: JsonlCorpus, tmp_path: Path, damage: str) -> None:
    storage = tmp_path / "storage"
    first = prepare(corpus, 260, VALIDATION_BYTES, storage)
    expected = np.array(first.train)
    (folder,) = (path for path in (storage / "shards").iterdir() if path.is_dir())
    shard, manifest = folder / "train.bin", folder / "manifest.json"
    damages: dict[str, Callable[[], object]] = {
        "truncate": lambda: shard.write_bytes(shard.read_bytes()[:-2]),
        "extend": lambda: shard.write_bytes(shard.read_bytes() + b"xx"),
        "no manifest": manifest.unlink,
        "bad manifest": lambda: manifest.write_text(manifest.read_text()[:40]),
        "no shard": shard.unlink,
    }
    damages[damage]()
    again = prepare(corpus, 260, VALIDATION_BYTES, storage)
    assert again.manifest == first.manifest
    assert np.array_equal(again.train, expected)


def test_a_damaged_tokenizer_is_trained_again(corpus: JsonlCorpus, tmp_path: Path) -> None:
    first = prepare(corpus, 260, VALIDATION_BYTES, tmp_path)
    content = first.tokenizer_path.read_text()
    first.tokenizer_path.write_text(content[:100])
    assert prepare(corpus, 260, VALIDATION_BYTES, tmp_path).tokenizer_path.read_text() == content


def test_a_writer_that_dies_leaves_nothing_that_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "key"

    def is_whole(path: Path) -> bool:
        return (path / "file").exists()

    def die(path: Path) -> None:
        (path / "file").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_folder(folder, is_whole, die)
    assert not folder.exists()
    cached_folder(folder, is_whole, lambda path: write_atomically(path / "file", b"whole"))
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("file", "whole")]


def test_one_of_many_threads_writes(tmp_path: Path) -> None:
    writers: list[int] = []

    def write(path: Path) -> None:
        writers.append(threading.get_ident())
        (path / "file").write_text("x")

    arguments = (tmp_path / "cache" / "key", lambda path: (path / "file").exists(), write)
    threads = [threading.Thread(target=cached_folder, args=arguments) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(writers) == 1


def test_two_processes_prepare_the_same_corpus_at_once(corpus: JsonlCorpus, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from trainer.config import JsonlCorpus; from trainer.text.data import prepare\n"
        "data = prepare(JsonlCorpus(kind='jsonl', path=sys.argv[1]), 280, 10000, Path(sys.argv[2]))\n"
        "print(data.manifest.model_dump_json(), int(data.train[:].sum()))"
    )
    command = [sys.executable, "-c", program, corpus.path, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0] == outputs[1] != ""
    assert sum(path.is_dir() for path in (tmp_path / "shards").iterdir()) == 1


def test_a_vocabulary_that_the_text_cannot_fill_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"{n} " * 200}) for n in range(10)))
    with pytest.raises(InvalidInput, match="vocabulary_size"):
        prepare(JsonlCorpus(kind="jsonl", path=str(path)), 5000, 1000, tmp_path)


def test_a_trained_tokenizer_is_what_the_cache_holds(corpus: JsonlCorpus, data: PreparedData, tmp_path: Path) -> None:
    save(train_tokenizer(split(load_documents(corpus), VALIDATION_BYTES).train, VOCABULARY_SIZE), tmp_path / "own.json")
    assert (tmp_path / "own.json").read_bytes() == data.tokenizer_path.read_bytes()
    assert token_sizes(data.tokenizer)[END_OF_TEXT_ID] == 0


@given(st.integers(20, 400), st.integers(1, 9), st.integers(1, 7), st.integers(0, 2**63 - 1))
def test_every_sequence_is_seen_once_an_epoch(
    tokens: int, sequence_length: int, batch_sequences: int, seed: int
) -> None:
    stream = np.arange(tokens, dtype=np.uint16)
    batches = Batches(stream, sequence_length, batch_sequences * sequence_length, seed)
    steps = -(-3 * batches.sequences // batch_sequences)
    rows = np.concatenate([batches.batch(step) for step in range(1, steps + 1)])
    assert rows.shape == (steps * batch_sequences, sequence_length + 1)
    assert (np.diff(rows, axis=1) == 1).all()
    for epoch in range(3):
        starts = rows[epoch * batches.sequences : (epoch + 1) * batches.sequences, 0]
        assert sorted(starts) == list(range(0, batches.sequences * sequence_length, sequence_length))
    assert batches.unique_tokens(steps) == batches.sequences * sequence_length
    assert batches.unique_tokens(1) == min(batch_sequences, batches.sequences) * sequence_length


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    stream = np.arange(1000, dtype=np.uint16)
    first, second, other = (Batches(stream, 10, 50, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.batch(30), second.batch(30))
    assert not np.array_equal(first.batch(30), other.batch(30))
    assert not np.array_equal(first.batch(1), first.batch(21)), "the second epoch repeats the order of the first"


def test_a_training_side_shorter_than_a_sequence_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a sequence needs 11"):
        Batches(np.arange(10, dtype=np.uint16), 10, 50, 0)


def test_the_covering_vocabulary_counts_frequent_tokens_first() -> None:
    counts = np.zeros(300, dtype=np.int64)
    counts[0] = 1000  # END_OF_TEXT is none of the text's tokens
    counts[1:257] = 1  # bytes are kept whatever their number
    counts[260], counts[270], counts[280] = 500, 400, 100
    assert covering_vocabulary(counts) == 257 + 2
    counts[280] = 40
    assert covering_vocabulary(counts) == 257 + 2
    assert covering_vocabulary(np.ones(257, dtype=np.int64)) == 257
