import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from model.errors import InvalidInput
from model.inheritance.vocabulary import TokenMap, map_tokens
from model.tokenizer import END_OF_TEXT, save, train_tokenizer
from model.tokenizer.compression import reduction
from model.tokenizer.counting import count_tokens
from model.tokenizer.pairs import BYTE_CHARACTERS, FALLBACK_TOKENS, BytePairs, build
from model.tokenizer.reading import read_tokenizer
from model.tokenizer.source import Source
from tests.large_tokenizers import TEXTS, WRITERS

DOCUMENTS = [Path(json.__file__).read_text(encoding="utf-8")]
ROWS = 100_000


def source(kind: str, folder: Path) -> Source:
    return read_tokenizer(WRITERS[kind](folder))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A parent's tokenizer of 400 tokens, trained here."""
    path = tmp_path_factory.mktemp("parent") / "tokenizer.json"
    save(train_tokenizer(DOCUMENTS, 400), path)
    return read_tokenizer(path)


def spelled(tokenizer: Tokenizer, number: int) -> bytes:
    """The bytes of a token of a byte-level tokenizer."""
    return bytes(BYTE_CHARACTERS.index(character) for character in tokenizer.id_to_token(number))


def test_the_same_tokenizer_maps_every_token_to_itself(trained: Source) -> None:
    found = map_tokens(train_tokenizer(DOCUMENTS, 400), trained, 400)
    assert found == TokenMap(tuple(range(400)), {})
    assert found.share == 1


def test_a_smaller_tokenizer_of_the_same_text_has_all_its_tokens_there(trained: Source) -> None:
    student = train_tokenizer(DOCUMENTS, 300)
    found = map_tokens(student, trained, 400)
    assert found.share == 1
    parent = trained.tokenizer
    assert [parent.id_to_token(number) for number in found.ids] == [student.id_to_token(n) for n in range(300)]


def test_a_token_that_the_parent_lacks_is_cut_into_its_tokens(trained: Source) -> None:
    student = train_tokenizer(DOCUMENTS, 500)
    found = map_tokens(student, trained, 400)
    assert found.share == pytest.approx(0.8)
    assert set(found.pieces) == {number for number, there in enumerate(found.ids) if there < 0}
    for number, pieces in found.pieces.items():
        assert len(pieces) > 1
        assert b"".join(spelled(trained.tokenizer, piece) for piece in pieces) == spelled(student, number)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("size", [280, 320])
def test_a_tokenizer_cut_out_of_the_parents_finds_every_token_under_the_files_number(
    kind: str, size: int, tmp_path: Path
) -> None:
    parent = source(kind, tmp_path)
    cut = reduction(parent, "frequency", count_tokens(parent.tokenizer, TEXTS).counts)
    student = build(cut.pairs(max(size, parent.smallest + 20)))
    found = map_tokens(student, parent, ROWS)
    named = {number: token for token, number in parent.ids.items()}
    without_number = [token for token in parent.special if token not in parent.ids]
    for number, there in enumerate(found.ids):
        token = student.id_to_token(number)
        assert named[there] == token if there >= 0 else token in without_number
    assert [found.pieces[number] for number, there in enumerate(found.ids) if there < 0] == [()] * len(without_number)


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("other", WRITERS)
def test_tokens_of_another_kind_of_tokenizer_are_found_by_their_bytes(kind: str, other: str, tmp_path: Path) -> None:
    for name in ("parent", "student"):
        (tmp_path / name).mkdir()
    parent, theirs = source(kind, tmp_path / "parent"), source(other, tmp_path / "student")
    found = map_tokens(theirs.tokenizer, parent, ROWS)
    named = {number: _bytes(token, parent) for token, number in parent.ids.items() if token not in parent.special}
    for number, there in enumerate(found.ids):
        token = theirs.tokenizer.id_to_token(number)
        if token in theirs.special:
            continue
        pieces = (there,) if there >= 0 else found.pieces[number]
        assert b"".join(named[piece] for piece in pieces) == _bytes(token, theirs)


def _bytes(token: str, tokenizer: Source) -> bytes:
    if tokenizer.alphabet == "bytes":
        return bytes(BYTE_CHARACTERS.index(character) for character in token)
    return bytes([FALLBACK_TOKENS.index(token)]) if token in FALLBACK_TOKENS else token.encode()


@given(st.binary(min_size=2, max_size=12))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_cut_into_tokens_of_these_bytes(trained: Source, content: bytes) -> None:
    """Tokens of a byte-level tokenizer may end inside a character."""
    token = "".join(BYTE_CHARACTERS[byte] for byte in content)
    known = {*trained.tokens}
    tokens = (*BYTE_CHARACTERS, *(() if token in known else (token,)), "Ġt", "in")
    student = build(BytePairs(special=(END_OF_TEXT,), tokens=tokens, merges=(("Ġ", "t"), ("i", "n"))))
    found = map_tokens(student, trained, 400)
    if token not in known:
        pieces = found.pieces[1 + 256]
        assert b"".join(spelled(trained.tokenizer, piece) for piece in pieces) == content


def test_a_document_ends_with_the_token_that_ends_the_parents(trained: Source) -> None:
    parent = replace(trained, special=("</s>",), ids={**trained.ids, "</s>": trained.ids[END_OF_TEXT]})
    assert map_tokens(train_tokenizer(DOCUMENTS, 300), parent, 400).ids[0] == trained.ids[END_OF_TEXT]


def test_a_token_that_ends_documents_without_a_row_is_refused(trained: Source) -> None:
    parent = replace(trained, special=("</s>",), ids={**trained.ids, "</s>": 400})
    with pytest.raises(InvalidInput, match="'</s>' has the number 400"):
        map_tokens(train_tokenizer(DOCUMENTS, 300), parent, 400)


def test_other_special_tokens_are_found_by_name_or_start_as_the_mean_of_all(trained: Source) -> None:
    pairs = replace(trained.pairs, special=(END_OF_TEXT, "<pad>", "<think>"))
    parent = replace(trained, special=(END_OF_TEXT, "<pad>"), ids={**trained.ids, "<pad>": 399})
    found = map_tokens(build(pairs), parent, 400)
    assert found.ids[:3] == (0, 399, -1)
    assert found.pieces == {2: ()}


def test_the_text_of_a_special_token_is_no_special_token(trained: Source) -> None:
    pairs = replace(trained.pairs, tokens=(*trained.pairs.tokens, "<pad>"))
    parent = replace(trained, special=(END_OF_TEXT, "<pad>"), ids={**trained.ids, "<pad>": 399})
    found = map_tokens(build(pairs), parent, 400)
    assert found.ids[-1] == -1
    assert b"".join(spelled(trained.tokenizer, piece) for piece in found.pieces[400]) == b"<pad>"


def test_a_parent_without_a_tokenizer_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"inherit.parent: holds no tokenizer.*; put the tokenizer"):
        map_tokens(train_tokenizer(DOCUMENTS, 300), None, 400)


def test_a_tokenizer_that_does_not_fit_the_tables_is_refused(trained: Source) -> None:
    with pytest.raises(InvalidInput, match=r"has 399 tokens, and a tokenizer in which .* has the number 399"):
        map_tokens(train_tokenizer(DOCUMENTS, 300), trained, 399)
    with pytest.raises(InvalidInput, match=r"has the number -1"):
        map_tokens(train_tokenizer(DOCUMENTS, 300), replace(trained, ids={**trained.ids, "Ġ": -1}), 400)


def test_tokenizers_that_have_hardly_a_token_in_common_are_refused(trained: Source) -> None:
    chinese = train_tokenizer(["小模型的参数继承与词表压缩" * 40 + "深度宽度学习率" * 40], 280)
    with pytest.raises(InvalidInput, match=r"has \d of the \d+ tokens of more than a byte .* less than 10%") as refused:
        map_tokens(chinese, trained, 400, "proxy.inherit")
    assert refused.value.field == "proxy.inherit"
    assert "kind: compressed" in refused.value.remedy


def test_single_bytes_alone_are_the_same_everywhere(trained: Source) -> None:
    student = build(BytePairs(special=(END_OF_TEXT,), tokens=BYTE_CHARACTERS, merges=()))
    assert map_tokens(student, trained, 400).share == 1


def test_a_single_row_is_copied_to_the_last_bit() -> None:
    table = torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    ids = (3, 49, 0, 3)
    assert torch.equal(TokenMap(ids, {}).blend(table), table[list(ids)])
