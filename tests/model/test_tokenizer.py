import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from model.errors import InvalidInput
from model.tokenizer import (
    END_OF_TEXT,
    MAX_TOKENIZER_BYTES,
    MIN_VOCABULARY_SIZE,
    load_tokenizer,
    save,
    train_tokenizer,
)

DOCUMENTS = [json.__doc__ or "", subprocess.__doc__ or "", Path(json.__file__).read_text(encoding="utf-8")]
TOKENIZER = train_tokenizer(DOCUMENTS, 400)
FILE: dict[str, Any] = json.loads(TOKENIZER.to_str())


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@given(st.text())
@settings(max_examples=300)
def test_every_text_comes_back(text: str) -> None:
    ids = TOKENIZER.encode(text).ids
    assert TOKENIZER.decode(ids) == text
    assert 0 not in ids


def test_a_document_that_spells_the_special_token_does_not_end_there(tmp_path: Path) -> None:
    save(TOKENIZER, tmp_path / "tokenizer.json")
    text = f"one{END_OF_TEXT}two"
    for tokenizer in (TOKENIZER, load_tokenizer(tmp_path / "tokenizer.json")):
        ids = tokenizer.encode(text).ids
        assert 0 not in ids
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("size", [MIN_VOCABULARY_SIZE, 258, 513])
def test_the_size_is_reached_exactly(size: int) -> None:
    tokenizer = train_tokenizer(DOCUMENTS, size)
    assert tokenizer.get_vocab_size() == size
    assert sorted(tokenizer.get_vocab().values()) == list(range(size))
    assert tokenizer.token_to_id(END_OF_TEXT) == 0


def test_merges_shorten_the_text() -> None:
    text = DOCUMENTS[2]
    lengths = [len(train_tokenizer(DOCUMENTS, size).encode(text).ids) for size in (257, 300, 500)]
    assert lengths[0] == len(text.encode())
    assert lengths[0] > lengths[1] > lengths[2]


def test_a_size_beyond_the_text_is_refused_with_the_size_it_reaches() -> None:
    with pytest.raises(
        InvalidInput, match=r"vocabulary_size: the text yields only 259 of the 300 tokens; give at most"
    ):
        train_tokenizer(["abc abc"], 300)
    assert train_tokenizer(["abc abc"], 259).get_vocab_size() == 259


@pytest.mark.parametrize("size", [-1, 256, 1_048_577])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match=f"vocabulary_size: {size} is outside 257"):
        train_tokenizer(DOCUMENTS, size)


def test_the_same_documents_give_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    write(tmp_path / "documents.json", DOCUMENTS)
    script = (
        "import json, sys; from pathlib import Path; from model.tokenizer import save, train_tokenizer\n"
        "save(train_tokenizer(json.loads(Path(sys.argv[1]).read_text()), 400), Path(sys.argv[2]))"
    )
    digests = set()
    for hash_seed, parallelism in [("1", "false"), ("2", "true")]:
        path = tmp_path / f"{hash_seed}.json"
        environment = {"PYTHONHASHSEED": hash_seed, "TOKENIZERS_PARALLELISM": parallelism}
        command = [sys.executable, "-c", script, str(tmp_path / "documents.json"), str(path)]
        subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    save(TOKENIZER, tmp_path / "here.json")
    assert digests == {hashlib.sha256((tmp_path / "here.json").read_bytes()).hexdigest()}


def test_a_saved_tokenizer_loads_the_same(tmp_path: Path) -> None:
    save(TOKENIZER, tmp_path / "first.json")
    save(load_tokenizer(tmp_path / "first.json"), tmp_path / "second.json")
    assert (tmp_path / "first.json").read_bytes() == (tmp_path / "second.json").read_bytes()


def drop_byte(file: dict[str, Any]) -> None:
    vocabulary = file["model"]["vocab"]
    byte = sorted(pre_tokenizers.ByteLevel.alphabet())[-1]
    vocabulary["an extra token"] = vocabulary.pop(byte)
    file["model"]["merges"] = [pair for pair in file["model"]["merges"] if byte not in "".join(pair)]


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a normalizer that loses text": lambda file: file.update(normalizer={"type": "Lowercase"}),
    "a prefix space": lambda file: file["pre_tokenizer"].update(add_prefix_space=True),
    "a pattern of its own": lambda file: file.update(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    ),
    "no decoder": lambda file: file.update(decoder=None),
    "random merges": lambda file: file["model"].update(dropout=0.5),
    "a prefix, on which the library aborts": lambda file: file["model"].update(continuing_subword_prefix="##"),
    "truncation": lambda file: file.update(
        truncation={"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    ),
    "another kind of model": lambda file: file.update(model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}),
    "no special token": lambda file: file.update(added_tokens=[]),
    "a second special token": lambda file: file["added_tokens"].append({**file["added_tokens"][0], "content": "x"}),
    "a missing byte": drop_byte,
    "a gap in the ids": lambda file: file["model"]["vocab"].update({"an extra token": 9999}),
    "a repeated id": lambda file: file["model"]["vocab"].update({"an extra token": 5}),
    "a merge into no token": lambda file: file["model"]["merges"].append(["é", "!"]),
    "a merge of unknown tokens": lambda file: file["model"]["merges"].append(["no", "such"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_kind_of_tokenizer_is_refused(change: str, tmp_path: Path) -> None:
    file = json.loads(TOKENIZER.to_str())
    CHANGES[change](file)
    with pytest.raises(InvalidInput, match=r"^tokenizer: .*; use a tokenizer.json that"):
        load_tokenizer(write(tmp_path / "tokenizer.json", file))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"{}", b"[]", b"[" * 100_000, b'{"model": 1}', b"\x80\x04K\x01."]
)
def test_what_is_no_tokenizer_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InvalidInput, match="is not a tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_a_file_above_the_cap_is_not_parsed(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(MAX_TOKENIZER_BYTES + 1)
    with pytest.raises(InvalidInput, match="is larger than"):
        load_tokenizer(tmp_path / "tokenizer.json")


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.text(max_size=5), st.just([]))


@given(
    path=st.sampled_from(
        [[key] for key in FILE] + [["model", key] for key in FILE["model"]] + [["added_tokens", 0, "id"]]
    ),
    value=st.one_of(SCALARS, st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_refused_or_still_round_trips(
    tmp_path_factory: pytest.TempPathFactory, path: list[Any], value: object
) -> None:
    file = json.loads(TOKENIZER.to_str())
    holder: Any = file
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    try:
        tokenizer = load_tokenizer(write(tmp_path_factory.mktemp("damaged") / "tokenizer.json", file))
    except InvalidInput:
        return
    assert tokenizer.decode(tokenizer.encode("Any text, é\n").ids) == "Any text, é\n"


@given(position=st.integers(0, len(TOKENIZER.to_str().encode()) - 1), byte=st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_is_refused_or_still_round_trips(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    content = bytearray(TOKENIZER.to_str().encode())
    content[position] = byte
    path = tmp_path_factory.mktemp("changed") / "tokenizer.json"
    path.write_bytes(content)
    try:
        tokenizer = load_tokenizer(path)
    except InvalidInput:
        return
    assert tokenizer.decode(tokenizer.encode("Any text, é\n").ids) == "Any text, é\n"
