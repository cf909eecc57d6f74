"""Large tokenizers of every kind are read as their own libraries would, or refused with the reason."""

import base64
import json
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model.errors import InvalidInput
from model.tokenizer.merges import MAX_TOKEN_LENGTH
from model.tokenizer.pairs import BYTE_CHARACTERS, MAX_TOKENIZER_BYTES
from model.tokenizer.reading import read_tokenizer
from model.tokenizer.sentencepiece import MAX_MODEL_BYTES
from model.tokenizer.source import Source
from tests.large_tokenizers import SIZE, TEXTS, WRITERS, byte_level_file, processor, sentencepiece_model

KINDS = tuple(WRITERS)


@cache
def source(kind: str) -> Source:
    return read_tokenizer(WRITERS[kind](Path(mkdtemp())))


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.one_of(st.text(), st.text(alphabet="ab ▁<sep>/0x汉字\n\t")))
@settings(max_examples=60)
def test_every_text_comes_back(kind: str, text: str) -> None:
    tokenizer = source(kind).tokenizer
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


@given(text=st.text(alphabet="abcdefst ().,\n汉字教材x"))
def test_a_sentencepiece_model_encodes_as_sentencepiece_does(text: str) -> None:
    expected = [piece.replace("▁", " ") for piece in processor().encode(text, out_type=str)]
    assert source("SentencePiece").tokenizer.encode(text).tokens == expected


@pytest.mark.parametrize("text", TEXTS)
def test_long_texts_are_encoded_as_sentencepiece_does(text: str) -> None:
    expected = [piece.replace("▁", " ") for piece in processor().encode(text, out_type=str)]
    assert source("SentencePiece").tokenizer.encode(text).tokens == expected


@pytest.mark.parametrize("kind", ["tokenizer.json", "vocabulary and merges"])
@pytest.mark.parametrize("text", TEXTS)
def test_byte_level_tokenizers_encode_as_the_file_does(kind: str, text: str) -> None:
    expected = Tokenizer.from_str(json.dumps(byte_level_file())).encode(text)
    assert source(kind).tokenizer.encode(text).tokens == expected.tokens
    assert [source(kind).ids[token] for token in expected.tokens] == expected.ids


def rank_merges(piece: bytes, ranks: Mapping[bytes, int]) -> list[bytes]:
    """What tiktoken does with a word: its neighbours of lowest rank are joined until none are known."""
    parts = [bytes([byte]) for byte in piece]
    while True:
        known = [(ranks[a + b], n) for n, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]
        if not known:
            return parts
        _, place = min(known)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


@given(word=st.text(alphabet="abcdefgrstument_", min_size=1, max_size=30))
def test_ranks_are_merged_as_tiktoken_does(word: str) -> None:
    large = source("tiktoken ranks")
    byte_of = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}
    ranks = {bytes(map(byte_of.__getitem__, token)): rank for token, rank in large.ids.items()}
    (piece, *others), _ = zip(*large.tokenizer.pre_tokenizer.pre_tokenize_str(word), strict=True)
    encoded = [bytes(map(byte_of.__getitem__, token)) for token in large.tokenizer.encode(word).tokens]
    expected = [part for one in (piece, *others) for part in rank_merges(bytes(map(byte_of.__getitem__, one)), ranks)]
    assert encoded == expected


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_first_and_are_never_those_of_a_text(kind: str) -> None:
    large = source(kind)
    spelled = " ".join(large.special)
    ids = large.tokenizer.encode(spelled).ids
    assert large.special[0] in ("</s>", "<|endoftext|>")
    assert min(ids) >= len(large.special)
    assert large.smallest == 256 + len(large.special)


def test_symbols_of_the_user_count_as_special() -> None:
    assert source("SentencePiece").special == ("</s>", "<unk>", "<s>", "<sep>")


def test_a_prefix_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(sentencepiece_model(add_dummy_prefix=True))
    assert "add_dummy_prefix" in read_tokenizer(path).notes[0]
    assert "add_dummy_prefix" in source("tokenizer.json of LLaMA").notes[0]
    assert source("SentencePiece").notes == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "unigram"}, "unigram model, which has no merges"),
        ({"model_type": "char"}, "char model"),
        ({"byte_fallback": False}, "no byte_fallback"),
        ({"normalization_rule_name": "nmt_nfkc"}, "normalises text by 'nmt_nfkc'"),
        ({"remove_extra_whitespaces": True}, "removes extra spaces"),
        ({"treat_whitespace_as_suffix": True}, "spaces behind words"),
    ],
)
def test_a_sentencepiece_model_that_loses_text_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    size = {"vocab_size": 400} if changes.get("model_type") == "char" else {}
    path = tmp_path / "tokenizer.model"
    path.write_bytes(sentencepiece_model(**changes, **size, hard_vocab_limit=False))
    with pytest.raises(InvalidInput, match=said):
        read_tokenizer(path)


def json_with(**changes: Any) -> dict[str, Any]:
    document = json.loads(json.dumps(byte_level_file()))
    document["model"].update(changes.pop("model", {}))
    return {**document, **changes}


def without_byte() -> dict[str, Any]:
    document = json_with()
    document["model"]["vocab"].pop("ÿ")
    return document


SPLIT = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
BYTES_ALONE = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
REFUSED: dict[str, tuple[Callable[[], dict[str, Any]], str]] = {
    "another model": (lambda: json_with(model={"type": "Unigram"}), "not a BPE tokenizer"),
    "a text-changing normaliser": (lambda: json_with(normalizer={"type": "Lowercase"}), "normalises text by Lowercase"),
    "a pattern that may never end": (
        lambda: json_with(pre_tokenizer={"type": "Sequence", "pretokenizers": [SPLIT, BYTES_ALONE]}),
        "cuts text into words in a way",
    ),
    "a prefix before texts": (
        lambda: json_with(pre_tokenizer={**BYTES_ALONE, "add_prefix_space": True}),
        "cuts text into words in a way",
    ),
    "no pre-tokenizer": (lambda: json_with(pre_tokenizer=None), "cuts text into words in a way"),
    "random merges": (lambda: json_with(model={"dropout": 0.1}), "not a BPE tokenizer"),
    "a prefix on which the library aborts": (
        lambda: json_with(model={"continuing_subword_prefix": "##"}),
        "not a BPE tokenizer",
    ),
    "a missing byte": (without_byte, "lacks 1 of the 256 byte tokens"),
    "a merge of three": (lambda: json_with(model={"merges": ["a b c"]}), "not two tokens"),
    "a merge of unknown tokens": (lambda: json_with(model={"merges": [["no", "such"]]}), "does not have"),
    "a merge with a special part": (lambda: json_with(model={"merges": [["", "a"]]}), "does not have"),
    "a text as merges": (lambda: json_with(model={"merges": "a b"}), "not a BPE tokenizer"),
    "spaces left alone": (lambda: json_with(model={"byte_fallback": True}), "another way than SentencePiece"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_another_tokenizer_json_is_refused(name: str, tmp_path: Path) -> None:
    make, said = REFUSED[name]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(make()), encoding="utf-8")
    with pytest.raises(InvalidInput, match=said):
        read_tokenizer(path)


def ranks(*tokens: bytes) -> bytes:
    single = (bytes([byte]) for byte in range(256))
    lines = (b"%s %d" % (base64.b64encode(token), rank) for rank, token in enumerate((*single, *tokens)))
    return b"\n".join(lines)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.tiktoken", ranks(b"ab", b"ab"), "repeats"),
        ("t.tiktoken", ranks() + b"\n!!! 256", "line 257"),
        ("t.tiktoken", ranks() + b"\nYWI= 256 7", "line 257"),
        ("t.tiktoken", ranks() + b"\nYWI= 3", "repeats"),
        ("t.tiktoken", b"YWI= 0", "lacks 256"),
        ("t.tiktoken", ranks(b"a" * (MAX_TOKEN_LENGTH + 1)), f"a token has {MAX_TOKEN_LENGTH + 1} characters"),
        ("t.tiktoken", ranks(*(b"a" * 999 + b"%d" % number for number in range(300))), "too many and too long"),
        ("t.model", b"", "holds no pieces"),
        ("t.model", b"\x80\x04K\x01.", "is not a SentencePiece model"),
        ("t.model", b"\x0a\x7f" + b"x" * 20, "is not a SentencePiece model"),
        ("t.model", b"\x0a\x04\x0a\x02\xff\xfe", "is not a SentencePiece model"),
        ("vocab.json", b"{}", "without merges.txt"),
        ("t.json", b"[" * 100_000, "without"),
        ("t.json", b'{"model": {', "not a BPE tokenizer"),
        ("t.json", b"\xff\xfe", "without"),
    ],
)
def test_what_is_broken_is_refused(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=said) as refusal:
        read_tokenizer(tmp_path / name, "proxy.tokenizer.path")
    assert refusal.value.field == "proxy.tokenizer.path"


@pytest.mark.parametrize(("name", "size"), [("t.json", MAX_TOKENIZER_BYTES), ("t.model", MAX_MODEL_BYTES)])
def test_what_is_too_large_is_not_parsed(name: str, size: int, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(size + 1)
    with pytest.raises(InvalidInput, match="is larger than"):
        read_tokenizer(tmp_path / name)


def test_merges_are_not_taken_from_another_folder(tmp_path: Path) -> None:
    path = WRITERS["vocabulary and merges"](tmp_path)
    (tmp_path / "elsewhere").mkdir()
    merges = (tmp_path / "x_merges.txt").rename(tmp_path / "elsewhere" / "x_merges.txt")
    (tmp_path / "x_merges.txt").symlink_to(merges)
    with pytest.raises(InvalidInput, match="a link out of its folder"):
        read_tokenizer(path)


def test_a_folder_is_read_by_the_names_in_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds none of"):
        read_tokenizer(tmp_path)
    WRITERS["SentencePiece"](tmp_path)
    assert read_tokenizer(tmp_path).largest == SIZE


@pytest.mark.parametrize("kind", KINDS)
@given(position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
@settings(max_examples=30)
def test_a_changed_byte_is_refused_or_still_comes_back(kind: str, position: float, byte: int) -> None:
    folder = Path(mkdtemp())
    path = WRITERS[kind](folder)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] = byte
    path.write_bytes(content)
    try:
        large = read_tokenizer(path)
    except InvalidInput:
        return
    assert large.tokenizer.decode(large.tokenizer.encode("Any text, é 汉\n").ids) == "Any text, é 汉\n"


def test_pieces_of_one_score_are_said(tmp_path: Path) -> None:
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(sentencepiece_model())
    for piece in model.pieces[-50:]:
        piece.score = 0.0
    (tmp_path / "tokenizer.model").write_bytes(model.SerializeToString())
    assert "51 pieces have the same score" in read_tokenizer(tmp_path / "tokenizer.model").notes[0]
