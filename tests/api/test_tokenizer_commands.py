"""``formulary tokenizer``: what it writes, prints and refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plotly.graph_objects import Figure
from transformers import AutoTokenizer
from typer.testing import CliRunner, Result

from api.cli import app
from model.tokenizer import load_tokenizer
from tests.large_tokenizers import TEXTS, WRITERS

Tokenizer = Callable[..., Result]


@pytest.fixture
def tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tokenizer:
    monkeypatch.setenv("FORMULARY_HOME", str(tmp_path / "home"))

    def run(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(app, ["tokenizer", *map(str, arguments)])
        assert result.exit_code == status, (result.output, result.exception)
        if status == 1:
            assert len(result.stderr.splitlines()) == 1
        return result

    return run


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    lines = (line for text in TEXTS for line in text.splitlines(keepends=True))
    path.write_text("".join(json.dumps({"body": line}) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return WRITERS["SentencePiece"](tmp_path)


def test_compress_writes_a_folder_that_loads(tokenizer: Tokenizer, corpus: Path, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    said = tokenizer("compress", large, "--corpus", corpus, "--text-field", "body", "--size", 400, "--out", out)
    assert re.search(r"kept 400 of 900 tokens, \d+\.\d\d% of its tokens", said.stdout)
    loaded = AutoTokenizer.from_pretrained(out)
    assert loaded.decode(loaded.encode(TEXTS[0])) == TEXTS[0]
    small = load_tokenizer(out / "tokenizer.json")
    description: dict[str, Any] = json.loads((out / "compression.json").read_text(encoding="utf-8"))
    assert 0 < description["coverage"] < 1
    assert len(description["source_ids"]) == len(set(description["source_ids"])) == small.get_vocab_size() == 400
    assert description["source_ids"][0] == 2, "</s> of SentencePiece is its token 2"
    assert {path.name for path in out.iterdir()} == {"tokenizer.json", "tokenizer_config.json", "compression.json"}


def test_train_writes_a_folder_that_loads(tokenizer: Tokenizer, corpus: Path, tmp_path: Path) -> None:
    tokenizer("train", "--corpus", corpus, "--text-field", "body", "--size", 300, "--out", tmp_path / "new")
    assert len(AutoTokenizer.from_pretrained(tmp_path / "new")) == 300


def test_coverage_as_json_and_as_a_page(tokenizer: Tokenizer, corpus: Path, large: Path, tmp_path: Path) -> None:
    page = tmp_path / "sizes.html"
    options = ("--text-field", "body", "--sizes", "400,300", "--methods", "all", "--plot", page, "--json")
    report: dict[str, Any] = json.loads(tokenizer("coverage", large, "--corpus", corpus, *options).stdout)
    assert [row["vocabulary_size"] for row in report["sizes"]] == [300, 400] * 3
    assert {"coverage", "bytes_per_token", "embedding_share", "method"} <= report["sizes"][0].keys()
    assert report["recommended"] == report["smallest_covering"]
    html = page.read_text(encoding="utf-8")
    (figure,) = re.findall(r"const figure = (.*);\n", html)
    names = {trace.name for trace in Figure(json.loads(figure)).data}
    assert {"coverage, frequency", "bytes per token, retraining", "embedding share"} <= names
    assert "coverage, retraining" not in names
    assert not re.findall(r"<(?:script|link)[^>]+(?:src|href)=", html), "the page fetches something"


def test_coverage_as_a_table(tokenizer: Tokenizer, corpus: Path, large: Path) -> None:
    said = tokenizer("coverage", large, "--corpus", corpus, "--text-field", "body", "--sizes", "300,400").stdout
    assert re.search(r"^frequency +300 +\d+\.\d\d% +\d\.\d{3} +\d+\.\d\d%$", said, re.MULTILINE)
    assert "smallest vocabulary with coverage > 90% and embedding share < 20%: " in said
    network = ("--total-parameters", 100_000, "--width", 512)
    said = tokenizer("coverage", large, "--corpus", corpus, "--text-field", "body", "--sizes", "300", *network).stdout
    assert "no vocabulary has coverage > 90% and embedding share < 20%" in said


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"--size": 259}, 1, "give 260 to 900 (4 special tokens and 256 bytes always stay)"),
        ({"--size": 901}, 1, "give 260 to 900"),
        ({"--corpus": "none.txt"}, 1, "is not a file"),
        ({"--corpus": "empty.txt"}, 1, "holds no text"),
        ({"--corpus": "latin.txt"}, 1, "is not UTF-8"),
        ({"--out": "."}, 1, "is not an empty folder"),
        ({"--method": "best"}, 2, "frequency or merges"),
        ({"TOKENIZER": "empty.txt"}, 1, "holds no pieces"),
        ({"TOKENIZER": "none.model"}, 1, "cannot be read"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tokenizer: Tokenizer,
    large: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    status: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXTS[0], encoding="utf-8")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1"))
    given = {
        "TOKENIZER": large,
        "--corpus": "text.txt",
        "--size": 300,
        "--out": "out",
        "--method": "frequency",
        **change,
    }
    before = sorted(tmp_path.iterdir())
    options = [part for name, value in given.items() if name != "TOKENIZER" for part in (name, value)]
    result = tokenizer("compress", given["TOKENIZER"], *options, status=status)
    assert said in " ".join(result.stderr.split())
    assert sorted(tmp_path.iterdir()) == before


def test_sizes_and_methods_are_checked(tokenizer: Tokenizer, corpus: Path, large: Path) -> None:
    tokenizer("coverage", large, "--corpus", corpus, "--sizes", "a", status=2)
    tokenizer("coverage", large, "--corpus", corpus, "--methods", "frequency,luck", status=2)
    refused = tokenizer("coverage", large, "--corpus", corpus, "--sizes", "300,5000", status=1)
    assert "give 260 to 900" in refused.stderr


@pytest.mark.parametrize("command", ["train", "compress", "coverage"])
def test_help_has_examples(tokenizer: Tokenizer, command: str) -> None:
    assert f"formulary tokenizer {command} " in tokenizer(command, "--help").stdout
