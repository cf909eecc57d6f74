import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import InvalidInput
from trainer.config import BuiltinCorpus, Corpus, JsonlCorpus, TextCorpus
from trainer.text import corpus as corpus_module
from trainer.text import reading
from trainer.text.corpus import Documents, check_corpus, corpus_stamp, load_documents, resolve_corpus, split, utf8_size


def jsonl(path: Path, lines: list[str]) -> JsonlCorpus:
    path.write_text("\n".join(lines), encoding="utf-8")
    return JsonlCorpus(kind="jsonl", path=str(path))


def documents_of(texts: list[str]) -> Documents:
    return corpus_module._distinct(texts, "document")


def test_builtin_is_the_standard_library_without_packages_and_tests() -> None:
    files = reading.corpus_files(BuiltinCorpus(), "proxy.corpus")
    assert {"argparse.py", "ast.py"} <= {path.name for path in files}
    assert not {"site-packages", "test", "tests", "idle_test"} & {part for path in files for part in path.parts}
    assert list(files) == sorted(files)
    documents = load_documents(BuiltinCorpus())
    assert documents.total_bytes > 5_000_000
    assert len(documents.texts) <= len(files)
    check_corpus(BuiltinCorpus(), 100_000)


def test_duplicates_and_empty_documents_are_dropped_whatever_the_order(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text}) for text in ["one", "two", "one", "", "drei ß"]]
    first = load_documents(jsonl(tmp_path / "a.jsonl", lines))
    second = load_documents(jsonl(tmp_path / "b.jsonl", ["", *reversed(lines)]))
    assert sorted(first.texts) == ["drei ß", "one", "two"]
    assert first.total_bytes == 13
    assert first == second
    assert first.fingerprint != load_documents(jsonl(tmp_path / "c.jsonl", lines[:2])).fingerprint


def test_gzip_and_plain_files_hold_the_same_documents(tmp_path: Path) -> None:
    plain = jsonl(tmp_path / "a.jsonl", [json.dumps({"text": "hello"})])
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(Path(plain.path).read_bytes()))
    assert load_documents(JsonlCorpus(kind="jsonl", path=str(packed))) == load_documents(plain)


def test_a_folder_gives_a_document_a_file_and_a_single_file_is_cut_at_line_ends(tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    (tmp_path / "a.txt").write_text("a\r\nb")
    (tmp_path / "deeper" / "b.txt.gz").write_bytes(gzip.compress(b"second"))
    (tmp_path / "ignored.md").write_text("no")
    folder = load_documents(TextCorpus(kind="text", path=str(tmp_path)))
    assert (sorted(folder.texts), folder.unit) == (["a\r\nb", "second"], "document")
    text = "".join(f"line {number} äöü\n" for number in range(3000)) + "x" * 20_000
    (tmp_path / "long.txt").write_text(text, encoding="utf-8")
    single = TextCorpus(kind="text", path=str(tmp_path / "long.txt"))
    cut = [document.text for document in reading.read_documents(single, "proxy.corpus")]
    assert "".join(cut) == text
    assert max(map(len, cut)) <= reading.PIECE_CHARACTERS
    assert load_documents(single).unit == "piece"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"text": "fine"}\n{"body": "x"}', "line 2 of"),
        (b'{"text": 3}', "no text under 'text'"),
        (b"[1, 2]", "no text under 'text'"),
        (b"not json", "is not JSON"),
        (b'{"text": "\xff"}', "line 1 of"),
        (b'{"text": "\\ud800"}', "half a surrogate"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=expected) as caught:
        check_corpus(JsonlCorpus(kind="jsonl", path=str(path)), 1000)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("latin.txt", "é".encode("latin-1"), "not UTF-8"),
        ("broken.txt.gz", gzip.compress(b"text" * 1000, mtime=0)[:-12], "not a whole gzip file"),
        ("fake.txt.gz", b"no gzip at all", "not a whole gzip file"),
    ],
)
def test_a_file_that_cannot_be_decoded_is_named(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(InvalidInput, match=expected) as caught:
            check_corpus(TextCorpus(kind="text", path=str(path)), 1000)
        assert name in str(caught.value)


def test_caps_hold_after_decompression(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.jsonl.gz"
    bomb.write_bytes(gzip.compress(b"\n" * 50_000 + json.dumps({"text": "x" * 50_000}).encode()))
    corpus = JsonlCorpus(kind="jsonl", path=str(bomb))
    assert load_documents(corpus).total_bytes == 50_000
    monkeypatch.setattr(reading, "MAX_CORPUS_BYTES", 60_000)
    with pytest.raises(InvalidInput, match="larger than 60000 bytes"):
        load_documents(corpus)
    monkeypatch.setattr(reading, "MAX_DOCUMENT_BYTES", 40_000)
    with pytest.raises(InvalidInput, match=r"line 50001 of .* longer than 40000"):
        load_documents(corpus)
    (tmp_path / "long.txt").write_text("x" * 40_001)
    with pytest.raises(InvalidInput, match=r"long.txt is larger than 40000"):
        load_documents(TextCorpus(kind="text", path=str(tmp_path)))


def test_paths_are_resolved_below_a_root_only(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "folder").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (root / "a.txt").write_text("text")
    (root / "inside.txt").symlink_to(root / "a.txt")
    (root / "escape.txt").symlink_to(outside / "secret.txt")
    (root / "escape").symlink_to(outside)
    for good in ("a.txt", str(root / "a.txt"), "folder/../a.txt", "inside.txt"):
        resolved = resolve_corpus(TextCorpus(kind="text", path=good), [tmp_path / "other", root])
        assert isinstance(resolved, TextCorpus)
        assert resolved.path == str(root / "a.txt")
    bad = ("../outside/secret.txt", str(outside / "secret.txt"), "escape.txt", "escape/secret.txt", "none.txt", "a\0b")
    for path in (*bad, "x" * 5000):
        with pytest.raises(InvalidInput) as caught:
            resolve_corpus(TextCorpus(kind="text", path=path), [root])
        assert caught.value.field == "proxy.corpus.path"
    with pytest.raises(InvalidInput, match="none is set"):
        resolve_corpus(TextCorpus(kind="text", path="a.txt"), [])
    assert resolve_corpus(BuiltinCorpus(), []) == BuiltinCorpus()


def test_a_link_out_of_a_folder_is_refused_before_reading(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (root / "a.txt").write_text("text")
    (root / "b.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(InvalidInput, match=r"b.txt is a link out of its folder"):
        resolve_corpus(TextCorpus(kind="text", path=str(root)), [root])


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidInput, match="is a folder"):
        resolve_corpus(JsonlCorpus(kind="jsonl", path="folder"), [tmp_path])
    os_pipe = tmp_path / "folder" / "pipe.txt"
    subprocess.run(["mkfifo", str(os_pipe)], check=True)
    for path in (os_pipe, tmp_path / "folder"):
        with pytest.raises(InvalidInput, match=r"not a (regular )?file"):
            resolve_corpus(TextCorpus(kind="text", path=str(path)), [tmp_path])


@pytest.mark.parametrize("texts", [[], ["x" * 1999], ["x" * 1500, "x" * 1500]])
def test_a_small_corpus_says_how_much_it_holds(tmp_path: Path, texts: list[str]) -> None:
    corpus = jsonl(tmp_path / "a.jsonl", [json.dumps({"text": text}) for text in texts])
    held = len(texts[0]) if texts else 0
    with pytest.raises(InvalidInput, match=f"holds {held} bytes after removing duplicates, 2000 are needed") as caught:
        check_corpus(corpus, 1000)
    assert caught.value.field == "proxy.corpus"
    with pytest.raises(InvalidInput, match=f"holds {held} bytes"):
        split(load_documents(corpus), 1000)


def test_a_large_corpus_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = jsonl(tmp_path / "a.jsonl", [*(json.dumps({"text": f"{n} " + "x" * 500}) for n in range(10)), "not json"])
    monkeypatch.setattr(corpus_module, "CHECKED_BYTES", 3000)
    check_corpus(corpus, 1000)


def test_a_billion_empty_lines_are_not_read_to_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = jsonl(tmp_path / "a.jsonl", [""] * 100 + ["not json"])
    monkeypatch.setattr(corpus_module, "CHECKED_DOCUMENTS", 100)
    with pytest.raises(InvalidInput, match="holds 0 bytes"):
        check_corpus(corpus, 1000)


def test_many_documents_are_split_whole() -> None:
    texts = [f"document {number}: " + "word " * 100 for number in range(200)]
    result = split(documents_of(texts), 5000)
    assert result.unit == "document"
    assert result.validation_bytes == 5000
    assert set(result.train) <= set(texts)
    reserved = set(texts) - set(result.train)
    assert len(reserved) == len(result.validation)
    assert all(any(text.startswith(head) for text in reserved) for head in result.validation)
    assert split(documents_of(texts[::-1]), 5000) == result


def test_a_long_document_gives_only_a_share() -> None:
    texts = ["".join(f"{document} {line}\n" for line in range(5000)) for document in range(60)]
    result = split(documents_of(texts), 8000)
    assert [utf8_size(head) for head in result.validation] == [1000] * 8
    assert (len(result.train), result.unit) == (52, "document")


def test_few_long_documents_are_cut_into_pieces() -> None:
    texts = ["".join(f"{document} {line}\n" for line in range(5000)) for document in range(3)]
    result = split(documents_of(texts), 8000)
    assert (result.unit, result.validation_bytes) == ("piece", 8000)
    assert result.train_bytes > sum(map(utf8_size, texts)) - 8000 - 1000 - 1
    assert not set(result.train) & set(result.validation)


@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=400), min_size=1, max_size=60),
    st.integers(1000, 4000),
)
def test_a_split_keeps_its_promises(texts: list[str], validation_bytes: int) -> None:
    documents = documents_of(texts)
    if documents.total_bytes < 2 * validation_bytes:
        with pytest.raises(InvalidInput):
            split(documents, validation_bytes)
        return
    result = split(documents, validation_bytes)
    assert validation_bytes - 4 < result.validation_bytes <= validation_bytes
    assert result.train
    assert result.train_bytes + result.validation_bytes <= documents.total_bytes
    assert all(text in "\0".join(documents.texts) for text in (*result.train, *result.validation))


def test_a_stamp_changes_when_a_file_is_written(tmp_path: Path) -> None:
    corpus: Corpus = jsonl(tmp_path / "a.jsonl", ['{"text": "a"}'])
    before = corpus_stamp(corpus)
    assert corpus_stamp(corpus) == before
    jsonl(tmp_path / "a.jsonl", ['{"text": "b"}'])
    assert corpus_stamp(corpus) != before


def test_checking_a_corpus_loads_no_torch() -> None:
    modules = "trainer.text.corpus, trainer.results, trainer.plan, trainer.errors"
    program = f"import sys, {modules}; print([name in sys.modules for name in ('torch', 'numpy')])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[False, False]"
