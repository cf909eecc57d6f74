"""What a smaller tokenizer keeps: everything that it needs, whatever the size, and no more."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from model.errors import InvalidInput
from model.tokenizer import END_OF_TEXT_ID, load_tokenizer, save
from model.tokenizer.compression import Method, Reduction, reduction, times_formed
from model.tokenizer.counting import LONGEST_PIECE, count_tokens
from model.tokenizer.coverage import HELD_OUT_EVERY, Divided, Network, SpreadSample, measure
from model.tokenizer.files import save_folder
from model.tokenizer.merges import in_closed_order
from model.tokenizer.pairs import BYTE_TOKENS, build
from model.tokenizer.reading import read_tokenizer
from model.tokenizer.source import Source
from tests.large_tokenizers import TEXTS, WRITERS

KINDS = tuple(WRITERS)
METHODS: tuple[Method, ...] = ("frequency", "merges")


@cache
def source(kind: str) -> Source:
    return read_tokenizer(WRITERS[kind](Path(mkdtemp())))


@cache
def cut(kind: str, method: Method) -> Reduction:
    return reduction(source(kind), method, count_tokens(source(kind).tokenizer, TEXTS).counts)


def largest(kind: str) -> int:
    return source(kind).smallest + len(cut(kind, "frequency").order)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
@settings(max_examples=15)
def test_a_smaller_tokenizer_is_whole(kind: str, method: Method, data: st.DataObject) -> None:
    size = data.draw(st.integers(source(kind).smallest, largest(kind)))
    pairs = cut(kind, method).pairs(size)
    assert pairs.size == size == build(pairs).get_vocab_size()
    kept = {*pairs.tokens}
    assert set(BYTE_TOKENS[pairs.alphabet]) <= kept
    assert pairs.special == source(kind).special
    assert all({first, second, first + second} <= kept for first, second in pairs.merges)
    text = data.draw(st.text())
    assert build(pairs).decode(build(pairs).encode(text).ids) == text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_every_kept_token_is_reached(kind: str, method: Method) -> None:
    for size in (source(kind).smallest, 400, 500, 700, largest(kind)):
        pairs = cut(kind, method).pairs(size)
        bare = Tokenizer(build(pairs).model)
        spelled = [token for token in pairs.tokens if token not in BYTE_TOKENS["characters"]]
        assert [bare.encode(token).tokens for token in spelled] == [[token] for token in spelled]


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_size_encodes_as_the_source(kind: str) -> None:
    whole = build(cut(kind, "frequency").pairs(largest(kind)))
    for text in TEXTS:
        assert whole.encode(text).tokens == source(kind).tokenizer.encode(text).tokens


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS)
def test_larger_sizes_keep_what_smaller_ones_do(kind: str, method: Method) -> None:
    sizes = (300, 400, 700)
    kept = [set(cut(kind, method).pairs(size).tokens) for size in sizes]
    assert kept[0] < kept[1] < kept[2]
    covered = [cut(kind, method).coverage(size) for size in (*sizes, largest(kind))]
    assert covered == sorted(covered)
    assert covered[-1] == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_coverage_is_the_share_of_kept_tokens_in_the_text(kind: str) -> None:
    occurring = [token for text in TEXTS for token in source(kind).tokenizer.encode(text).tokens]
    kept = set(cut(kind, "frequency").pairs(500).tokens)
    expected = sum(token in kept for token in occurring) / len(occurring)
    assert cut(kind, "frequency").coverage(500) == pytest.approx(expected)
    fewest = cut(kind, "frequency").smallest_covering(0.9)
    assert fewest is not None
    assert cut(kind, "frequency").coverage(fewest) > 0.9 >= cut(kind, "frequency").coverage(fewest - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_most_formed_tokens_stay_and_take_fewer_tokens_than_the_first_merges(kind: str) -> None:
    formed = times_formed(source(kind), cut(kind, "frequency").counts)
    numbers = [formed[token] for token in cut(kind, "frequency").order]
    assert numbers == sorted(numbers, reverse=True)
    other = reduction(source(kind), "frequency", count_tokens(source(kind).tokenizer, [TEXTS[2]]).counts)
    by_frequency, by_merges = (build(each.pairs(400)) for each in (other, cut(kind, "merges")))
    assert len(by_frequency.encode(TEXTS[2]).ids) < len(by_merges.encode(TEXTS[2]).ids)


def test_a_token_that_is_formed_on_the_way_counts() -> None:
    large = source("tokenizer.json")
    token, last = next(
        (token, last) for token, last in large.last.items() if last and len(set(token)) == len(token) > 3
    )
    formed = times_formed(large, {token: 7})
    assert formed[token] == formed[last[0]] == 7
    assert sum(formed.values()) == 7 * (2 * len(token) - 1)


def test_an_order_by_anything_puts_ancestors_first() -> None:
    last = {"abc": ("ab", "c"), "ab": ("a", "b"), "a": None, "b": None, "c": None}
    assert in_closed_order(["abc", "c", "a"], last) == ["a", "b", "ab", "c", "abc"] or in_closed_order(
        ["abc", "c", "a"], last
    ) == ["c", "b", "a", "ab", "abc"]


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_out_of_reach_are_refused_with_those_in_reach(kind: str) -> None:
    for size in (source(kind).smallest - 1, largest(kind) + 1):
        with pytest.raises(InvalidInput, match=f"give {source(kind).smallest} to {largest(kind)} ") as refusal:
            cut(kind, "frequency").pairs(size)
        assert refusal.value.field == "vocabulary_size"


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_loaded_by_us_and_by_transformers(kind: str, tmp_path: Path) -> None:
    made = build(cut(kind, "frequency").pairs(500))
    save_folder(made, tmp_path)
    ours, theirs = load_tokenizer(tmp_path / "tokenizer.json"), AutoTokenizer.from_pretrained(tmp_path)
    save(ours, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    assert theirs.eos_token == theirs.bos_token == made.id_to_token(END_OF_TEXT_ID)
    for text in [*TEXTS, "", " ", "▁ ▁", f" one{theirs.eos_token}two  ", "<0x41>\x00é"]:
        ids = made.encode(text).ids
        assert ours.encode(text).ids == theirs.encode(text) == ids
        assert ours.decode(ids) == theirs.decode(ids) == text


def loads_or_is_refused(path: Path, document: Any) -> bool:
    import json

    path.write_text(json.dumps(document), encoding="utf-8")
    try:
        tokenizer = load_tokenizer(path)
    except InvalidInput:
        return False
    assert tokenizer.decode(tokenizer.encode("Any text, é\n").ids) == "Any text, é\n"
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_with_other_settings_is_refused(kind: str, tmp_path: Path) -> None:
    import json

    document = json.loads(build(cut(kind, "frequency").pairs(400)).to_str())
    assert loads_or_is_refused(tmp_path / "tokenizer.json", document)
    changes: list[dict[str, Any]] = [
        {"normalizer": {"type": "Lowercase"}},
        {"decoder": None},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"added_tokens": document["added_tokens"][1:]},
        {"model": {**document["model"], "byte_fallback": not document["model"]["byte_fallback"]}},
        {"model": {**document["model"], "vocab": {**document["model"]["vocab"], "": 400}}},
    ]
    for change in changes:
        assert not loads_or_is_refused(tmp_path / "tokenizer.json", {**document, **change})


class TestCounting:
    def test_counts_are_those_of_the_library(self) -> None:
        tokenizer = source("tokenizer.json").tokenizer
        texts = [*TEXTS * 5, "".join(TEXTS)]
        expected = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
        for text in texts:
            np.add.at(expected, tokenizer.encode(text).ids, 1)
        told: list[int] = []
        counted = count_tokens(tokenizer, texts, told.append)
        assert max(map(len, texts)) > LONGEST_PIECE
        assert abs(counted.counts - expected).sum() <= 4 * 2 * sum(len(text) // LONGEST_PIECE for text in texts)
        assert counted.text_bytes == told[-1] == sum(len(text.encode()) for text in texts)
        assert counted.texts == len(texts)

    def test_an_empty_corpus_has_no_tokens(self) -> None:
        counted = count_tokens(source("tokenizer.json").tokenizer, [])
        assert (counted.tokens, counted.bytes_per_token, counted.texts) == (0, 0.0, 0)


class TestReport:
    @pytest.mark.parametrize("kind", ["SentencePiece", "tiktoken ranks"])
    def test_the_three_ways(self, kind: str) -> None:
        texts = [line for text in TEXTS for line in text.splitlines(keepends=True)]
        network = Network(total_parameters=1_000_000, width=64, tied_head=True)
        report = measure(source(kind), texts, (400, 600), ("frequency", "merges", "retraining"), network)
        assert [(row.method, row.vocabulary_size) for row in report.sizes] == [
            (way, size) for way in ("frequency", "merges", "retraining") for size in (400, 600)
        ]
        smaller, larger = report.sizes[:2]
        assert smaller.coverage is not None
        assert larger.coverage is not None
        assert smaller.coverage < larger.coverage
        assert smaller.bytes_per_token < larger.bytes_per_token <= report.source_bytes_per_token
        assert smaller.embedding_share == pytest.approx(400 * 64 / 1_000_000)
        assert report.sizes[4].coverage is None
        assert report.corpus_bytes + report.measured_bytes == sum(len(text.encode()) for text in texts)

    def test_the_papers_rule(self) -> None:
        network = Network(total_parameters=1_000_000, width=64, tied_head=False)
        report = measure(source("tokenizer.json"), TEXTS, (300,), ("frequency",), network)
        assert report.largest_affordable == 1562
        assert network.embedding_share(1562) < 0.2 <= network.embedding_share(1563)
        assert report.recommended == report.smallest_covering
        small = measure(source("tokenizer.json"), TEXTS, (300,), ("frequency",), Network(10_000, 64, False))
        assert small.recommended is None

    def test_a_corpus_without_text_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="holds no text"):
            measure(source("tokenizer.json"), ["", ""], (300,), ("frequency",), Network(1, 1, False))

    def test_what_the_text_cannot_teach_is_left_out_and_said(self) -> None:
        report = measure(source("tokenizer.json"), ["abc"] * 20, (800,), ("retraining",), Network(1, 1, False))
        assert report.sizes == ()
        assert "retraining at 800: the text yields only 259" in report.notes[-1]

    @given(number=st.integers(0, 200), size=st.integers(1, 40))
    def test_a_sample_is_spread_evenly(self, number: int, size: int) -> None:
        sample = SpreadSample(size)
        for place in range(number):
            sample.offer(chr(ord("0") + place))
        places = [ord(text) - ord("0") for text in sample.texts]
        steps = set(np.diff(places).tolist())
        assert len(steps) <= 1
        assert sum(len(text.encode()) for text in sample.texts) <= max(size, 2)
        assert len(places) == number or 2 * (sum(len(text.encode()) for text in sample.texts) + 2) >= size

    def test_texts_that_are_set_aside_are_not_counted(self) -> None:
        divided = Divided(str(number) for number in range(100))
        counted = list(divided)
        assert len(divided.held_out.texts) == 100 // HELD_OUT_EVERY
        assert not set(counted) & set(divided.held_out.texts)
        assert divided.learned.texts == counted
