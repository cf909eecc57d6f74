"""A run's tokenizer cut out of a large one: found below the roots, kept by content, exact in bytes."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import InvalidInput
from model.tokenizer import END_OF_TEXT_ID, save
from model.tokenizer.compression import reduction
from model.tokenizer.counting import count_tokens
from model.tokenizer.pairs import build
from model.tokenizer.reading import read_tokenizer
from tests.large_tokenizers import WRITERS
from trainer.config import TRAINED, CompressedTokenizer, JsonlCorpus
from trainer.evaluate import IGNORED, Evaluator, windows
from trainer.parallel.world import alone
from trainer.text import tokenizers
from trainer.text.corpus import load_documents, split
from trainer.text.data import PreparedData, prepare
from trainer.text.shards import token_sizes
from trainer.text.tokenizers import check_tokenizer, resolve_tokenizer

VALIDATION_BYTES = 10_000
KINDS = tuple(WRITERS)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: write(tmp_path_factory.mktemp("large")) for kind, write in WRITERS.items()}


def compressed(path: Path, method: str = "frequency") -> CompressedTokenizer:
    return CompressedTokenizer.model_validate({"kind": "compressed", "path": str(path), "method": method})


def prepared(corpus: JsonlCorpus, storage: Path, source: CompressedTokenizer, size: int = 420) -> PreparedData:
    return prepare(corpus, size, VALIDATION_BYTES, storage, tokenizer_source=source)


@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_of_the_validation_text_is_predicted_once(
    kind: str, files: dict[str, Path], corpus: JsonlCorpus, storage: Path
) -> None:
    data = prepared(corpus, storage, compressed(files[kind]))
    expected = split(load_documents(corpus), VALIDATION_BYTES)
    texts = np.split(data.validation, np.flatnonzero(data.validation == END_OF_TEXT_ID))[1:]
    assert tuple(data.tokenizer.decode(text[1:].tolist()) for text in texts) == expected.validation
    assert data.token_bytes[data.train].sum() == expected.train_bytes == data.manifest.train_bytes
    _, targets = windows(data, 64)
    predicted = targets[targets != IGNORED].numpy()
    assert data.token_bytes[predicted].sum() == VALIDATION_BYTES
    assert (data.token_bytes[predicted] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_token_sizes_are_those_of_what_tokens_decode_to(kind: str, files: dict[str, Path]) -> None:
    large = read_tokenizer(files[kind])
    sizes = token_sizes(large.tokenizer)
    special = len(large.special)
    assert sizes[:special].tolist() == [0] * special
    text = "汉字 é \t ab\n▁ the self.value 🎓"
    ids = large.tokenizer.encode(text).ids
    assert sizes[ids].sum() == len(text.encode())


@pytest.mark.parametrize("method", ["frequency", "merges"])
def test_the_tokenizer_is_the_one_that_the_training_side_asks_for(
    method: str, files: dict[str, Path], corpus: JsonlCorpus, storage: Path, tmp_path: Path
) -> None:
    large = read_tokenizer(files["SentencePiece"])
    counts = count_tokens(large.tokenizer, split(load_documents(corpus), VALIDATION_BYTES).train).counts
    cut = reduction(large, "frequency" if method == "frequency" else "merges", counts)
    save(build(cut.pairs(420)), tmp_path / "own.json")
    data = prepared(corpus, storage, compressed(files["SentencePiece"], method))
    assert data.tokenizer_path.read_bytes() == (tmp_path / "own.json").read_bytes()
    assert data.tokenizer_attributes == {
        "tokenizer_kind": "compressed",
        "tokenizer_method": method,
        "tokenizer_coverage": cut.coverage(420),
        "tokenizer_source_fingerprint": large.fingerprint,
        "tokenizer_source_size": large.largest,
    }


def test_trained_and_given_tokenizers_say_so(data: PreparedData, corpus: JsonlCorpus, storage: Path) -> None:
    assert data.tokenizer_attributes == {"tokenizer_kind": "trained"}
    given = prepare(corpus, 300, VALIDATION_BYTES, storage, data.tokenizer_path)
    assert given.tokenizer_attributes == {"tokenizer_kind": "given"}


def test_counts_are_shared_by_sizes_and_nothing_is_counted_again(
    files: dict[str, Path], corpus: JsonlCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = compressed(files["tiktoken ranks"])
    first = prepared(corpus, tmp_path, source)
    monkeypatch.setattr(tokenizers, "count_tokens", lambda *_: pytest.fail("the corpus was counted again"))
    assert prepared(corpus, tmp_path, source).tokenizer_path == first.tokenizer_path
    assert prepared(corpus, tmp_path, source, 500).tokenizer_path != first.tokenizer_path
    monkeypatch.setattr(tokenizers, "reduction", lambda *_: pytest.fail("the tokenizer was cut again"))
    assert prepared(corpus, tmp_path, source).manifest == first.manifest


def test_the_content_of_the_file_counts_and_not_its_name(
    files: dict[str, Path], corpus: JsonlCorpus, storage: Path, tmp_path: Path
) -> None:
    first = prepared(corpus, storage, compressed(files["tiktoken ranks"]))
    copy = tmp_path / "another.tiktoken"
    copy.write_bytes(files["tiktoken ranks"].read_bytes())
    assert prepared(corpus, storage, compressed(copy)).tokenizer_path == first.tokenizer_path
    copy.write_bytes(b"\n".join(copy.read_bytes().splitlines()[:-1]))
    assert prepared(corpus, storage, compressed(copy)).tokenizer_path != first.tokenizer_path


@pytest.mark.parametrize("name", ["tokenizer.json", "compression.json", "counts.npy"])
@pytest.mark.parametrize("kept", [0, 40])
def test_what_is_half_written_is_made_again(
    name: str, kept: int, files: dict[str, Path], corpus: JsonlCorpus, tmp_path: Path
) -> None:
    source = compressed(files["SentencePiece"])
    first = prepared(corpus, tmp_path, source)
    content = first.tokenizer_path.read_bytes()
    for path in (tmp_path / "tokenizers").glob(f"*/{name}"):
        path.write_bytes(path.read_bytes()[:kept])
    if name == "counts.npy":
        first.tokenizer_path.unlink()
    again = prepared(corpus, tmp_path, source)
    assert again.tokenizer_path.read_bytes() == content
    assert again.tokenizer_attributes == first.tokenizer_attributes


def test_sizes_that_cannot_be_reached_are_refused(files: dict[str, Path], corpus: JsonlCorpus, storage: Path) -> None:
    source = compressed(files["SentencePiece"])
    for size in (259, 901):
        with pytest.raises(InvalidInput, match="give 260 to 9"):
            prepared(corpus, storage, source, size)
        with pytest.raises(InvalidInput, match="give 260 to 9"):
            check_tokenizer(source, (300, size), "vocabulary_size")
    check_tokenizer(source, (260, 900), "vocabulary_size")
    check_tokenizer(TRAINED, (257, 10**6), "vocabulary_size")


class TestResolving:
    def test_a_path_below_a_root_becomes_real(self, files: dict[str, Path], tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        WRITERS["SentencePiece"](tmp_path / "a")
        for given in ("a", "a/tokenizer.model", str(tmp_path / "a")):
            resolved = resolve_tokenizer(compressed(Path(given)), [tmp_path])
            assert isinstance(resolved, CompressedTokenizer)
            assert resolved.path == str(tmp_path / "a" / "tokenizer.model")
        assert resolve_tokenizer(TRAINED, []) == TRAINED

    def test_what_leads_out_is_refused(self, files: dict[str, Path], tmp_path: Path) -> None:
        root = tmp_path / "root"
        root.mkdir()
        (root / "link.model").symlink_to(files["SentencePiece"])
        (root / "folder").mkdir()
        (root / "folder" / "tokenizer.model").symlink_to(files["SentencePiece"])
        for given in ("link.model", "folder", "../x", str(files["SentencePiece"]), "none.model"):
            with pytest.raises(InvalidInput) as refusal:
                resolve_tokenizer(compressed(Path(given)), [root])
            assert refusal.value.field == "proxy.tokenizer.path"


def test_bits_per_byte_is_that_of_the_tokens_over_the_bytes(
    files: dict[str, Path], corpus: JsonlCorpus, storage: Path
) -> None:
    """A uniform guess takes log2 V bits for each token of the text, whatever the tokens are."""

    def uniform(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (targets != IGNORED).sum().double()[None] * math.log(420)

    data = prepared(corpus, storage, compressed(files["tokenizer.json of LLaMA"]))
    (found,) = Evaluator(data, 64, 8, alone()).evaluate(uniform, "float32")
    tokens = int((data.validation != END_OF_TEXT_ID).sum())
    assert found.bits_per_byte == pytest.approx(tokens * math.log2(420) / VALIDATION_BYTES)
