import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.hf import to_transformers, write_hf_folder
from model.inheritance import folder as parent_files
from model.inheritance.folder import parent_folder
from model.inheritance.parent import read_parent
from model.inheritance.vocabulary import map_tokens
from model.tokenizer import train_tokenizer
from model.tokenizer.pairs import BYTE_CHARACTERS, END_OF_TEXT
from model.transformer import Transformer
from tests.model.inheritance.networks import architecture, network

TOKENIZER = train_tokenizer([Path(json.__file__).read_text(encoding="utf-8")], 300)
CONFIG = architecture(vocabulary_size=300, kv_heads=2)
WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_hf_folder(network(CONFIG), TOKENIZER, tmp_path / "parent")
    return tmp_path / "parent"


def assert_same_weights(one: Transformer, two: Transformer) -> None:
    assert one.config == two.config
    assert all(torch.equal(weight, two.get_parameter(name)) for name, weight in one.named_parameters())


@pytest.mark.parametrize("config", [CONFIG, CONFIG.model_copy(update={"qk_norm": True, "tied_head": False})])
@pytest.mark.parametrize("shard_size", ["50GB", "2KB"])
def test_a_folder_of_transformers_is_read(config: ArchitectureConfig, shard_size: str, tmp_path: Path) -> None:
    expected = network(config)
    write_hf_folder(expected, TOKENIZER, tmp_path)
    (tmp_path / WEIGHTS).unlink()
    to_transformers(expected).save_pretrained(tmp_path, max_shard_size=shard_size)
    assert (tmp_path / WEIGHTS).exists() is (shard_size == "50GB")
    parent = read_parent(tmp_path)
    assert_same_weights(parent.network, expected)
    assert parent.fingerprint == parent_folder(tmp_path).fingerprint()
    assert parent_folder(tmp_path).architecture == config
    assert map_tokens(TOKENIZER, parent.tokenizer, 300).ids == tuple(range(300))


def test_what_formulary_pretrain_left_is_read_and_not_the_config_beside_it(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "formulary.json").write_text("{}")
    (run / "config.json").write_text("{}")
    with pytest.raises(
        InvalidInput, match=r"inherit.parent.path: .* holds no trained folder.*; run `formulary pretrain`"
    ):
        read_parent(run)
    for file in folder.iterdir():
        (run / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InvalidInput, match="holds no trained folder"):
        read_parent(run)  # what an export starts from is not trained
    folder.rename(run / "trained")
    assert_same_weights(read_parent(run).network, network(CONFIG))


def test_a_folder_without_a_tokenizer_is_read_without_one(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert read_parent(folder).tokenizer is None


def test_a_tokenizer_that_cannot_be_used_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}')
    with pytest.raises(InvalidInput, match=r"^inherit.parent.tokenizer: .*not a BPE tokenizer"):
        read_parent(folder)


def test_the_merges_of_a_vocabulary_are_part_of_the_fingerprint(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    tokens = [END_OF_TEXT, *BYTE_CHARACTERS, "th", "he"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    found = set()
    for merges in ("t h\nh e", "h e\nt h"):
        (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
        found.add(read_parent(folder).fingerprint)
    assert len(found) == 2


def test_the_fingerprint_is_of_the_content(folder: Path, tmp_path: Path) -> None:
    first = parent_folder(folder).fingerprint()
    assert first == parent_folder(Path(shutil.copytree(folder, tmp_path / "copy"))).fingerprint()
    (folder / "README.md").write_text("not read")
    assert parent_folder(folder).fingerprint() == first
    found = {first}
    for name, change in (
        ("config.json", lambda path: path.write_text(path.read_text().replace("1e-05", "1e-06"))),
        ("tokenizer.json", lambda path: path.write_text(path.read_text() + " ")),
        (WEIGHTS, lambda path: save_file({name: 2 * weight for name, weight in load_file(path).items()}, path)),
    ):
        change(folder / name)
        found.add(parent_folder(folder).fingerprint())
    assert len(found) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "name", ["model.embed_tokens.weight", "model.layers.2.mlp.down_proj.weight", "model.norm.weight"]
)
def test_weights_that_are_no_numbers_are_refused(folder: Path, name: str, value: float) -> None:
    weights = load_file(folder / WEIGHTS)
    weights[name].view(-1)[-1] = value
    save_file(weights, folder / WEIGHTS)
    with pytest.raises(InvalidInput, match=r"^inherit.parent.weights: .* holds NaN or infinities; give the weights"):
        read_parent(folder)


def test_pickled_weights_are_refused_and_never_opened(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "ran",))

    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(InvalidInput, match=r"^inherit.parent.weights: pytorch_model.bin is pickled and could run code"):
        read_parent(folder)
    assert not (folder / "ran").exists()


def _cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-5])


def _of_another_shape(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["model.norm.weight"] = torch.ones(17)
    save_file(weights, folder / WEIGHTS)


def _incomplete(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights["model.norm.weight"]
    save_file(weights, folder / WEIGHTS)


def _pipe(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / WEIGHTS)


def _index_of_a_pipe(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "shard.safetensors")
    os.mkfifo(folder / "pipe.safetensors")
    named = {"model.norm.weight": "shard.safetensors", "x": "pipe.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": named}))


def _index_out_of_the_folder(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder.parent / WEIGHTS)
    named = {"model.norm.weight": f"../{WEIGHTS}"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": named}))


def _shards_that_are_not_there(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "shard.safetensors"}}))


def _endless_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/dev/zero")


def _removed(folder: Path) -> None:
    shutil.rmtree(folder)


def _too_wide(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    large = {"hidden_size": 65536, "num_attention_heads": 16384, "num_hidden_layers": 1000}
    (folder / "config.json").write_text(json.dumps({**config, **large}))


def _too_long(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    large = {"hidden_size": 2048, "head_dim": 1024, "num_attention_heads": 2, "max_position_embeddings": 2**20}
    (folder / "config.json").write_text(json.dumps({**config, **large}))


BROKEN = {
    _cut: r"weights: .* cannot be read",
    _of_another_shape: r"weights: model.norm.weight of shape \[17\] does not belong to the config",
    _incomplete: r"weights: model.norm.weight is missing",
    _pipe: r"weights: .* holds no model.safetensors",
    _index_of_a_pipe: r"pipe.safetensors: .* is no regular file",
    _index_out_of_the_folder: r"weights: .*names no shards of the folder",
    _shards_that_are_not_there: r"weights: shard.safetensors is missing; give all files that the index names",
    _endless_config: r"config.json: .* is a link out of its folder",
    _removed: r"path: .* is no folder; give a folder with config.json and safetensors",
    _too_long: r"config.max_position_embeddings: has 1048576 positions and .*; write at most 131072",
    _too_wide: r"config: describes .* parameters; give a network of at most 1.6e\+10",
}


@pytest.mark.parametrize(("change", "said"), BROKEN.items(), ids=[change.__name__ for change in BROKEN])
def test_broken_folders_are_refused_by_name(folder: Path, change: Any, said: str) -> None:
    change(folder)
    with pytest.raises(InvalidInput, match=rf"^teacher\.model\.{said}"):
        read_parent(folder, field="teacher.model")


@pytest.mark.parametrize("name", ["config.json", WEIGHTS, "tokenizer.json"])
def test_links_out_of_the_folder_are_refused_and_others_followed(folder: Path, name: str) -> None:
    (folder / name).rename(folder / "blob")
    (folder / name).symlink_to("blob")
    assert_same_weights(read_parent(folder).network, network(CONFIG))
    (folder / "blob").rename(folder.parent / "blob")
    (folder / name).unlink()
    (folder / name).symlink_to("../blob")
    with pytest.raises(InvalidInput, match=r"is a link out of its folder; copy the folder with what its links lead to"):
        read_parent(folder)


def test_a_linked_trained_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "trained").symlink_to(folder)
    with pytest.raises(InvalidInput, match="trained is a link"):
        read_parent(tmp_path / "run")


def test_more_bytes_than_the_largest_network_has_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent_files, "MAX_WEIGHT_BYTES", 1000)
    with pytest.raises(InvalidInput, match=r"weights: the files have \d+ bytes; give at most 1000"):
        parent_folder(folder)


def test_a_folder_is_judged_without_torch(folder: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from model.inheritance.folder import parent_folder\n"
        "from model.inheritance.layers import choose_layers; from model.inheritance.shapes import check_inheritable\n"
        f"found = parent_folder(Path({str(folder)!r})); check_inheritable(found.architecture, found.architecture)\n"
        "print(len(found.fingerprint()), {'torch', 'transformers', 'ray'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "64 set()\n"
