"""Where a full run may look for its parent and its teacher."""

import json
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from tests.trainer.test_run_key import ARCHITECTURE
from trainer.config import PretrainConfig
from trainer.model_folders import resolve_models
from trainer.weights_folder import weights_folder

LLAMA = {
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def config(**fields: Any) -> PretrainConfig:
    length = {"unit": "tokens", "amount": 1000}
    return PretrainConfig.model_validate({"architecture": ARCHITECTURE, "length": length, **fields})


def network(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    (folder / "model.safetensors").write_bytes(b"")
    return folder


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "storage"


def resolved(storage: Path, root: Path, path: Path | str, started: bool = False) -> PretrainConfig:
    asked = config(inheritance={"parent": str(path)}, distillation={"teacher": str(path)})
    return resolve_models(asked, [root], storage, started=started)


def test_they_lie_below_an_allowed_folder_or_are_weights_that_a_study_kept(storage: Path, tmp_path: Path) -> None:
    own = network(tmp_path / "models" / "parent")
    kept = network(weights_folder(storage, "a" * 64))
    for path, real in ((own, own), ("parent", own), (kept, kept)):
        found = resolved(storage, tmp_path / "models", path)
        assert found.inheritance is not None
        assert found.distillation is not None
        assert (found.inheritance.parent, found.distillation.teacher) == (str(real), str(real))


def test_other_places_are_refused_by_the_field(storage: Path, tmp_path: Path) -> None:
    allowed, secret = tmp_path / "models", network(tmp_path / "secret")
    allowed.mkdir()
    (allowed / "link").symlink_to(secret)
    for path in (secret, "../secret", allowed / "link", "nothing"):
        with pytest.raises(InvalidInput, match=r"^pretrain.inheritance.parent: .*no file or folder below"):
            resolved(storage, allowed, path)
    with pytest.raises(InvalidInput, match=r"^pretrain.distillation.teacher: "):
        resolved(storage, allowed, secret, started=True)


def test_what_is_no_network_is_refused_before_anything_is_spent(storage: Path, tmp_path: Path) -> None:
    pickled = network(tmp_path / "models" / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match=r"^pretrain.inheritance.parent\."):
        resolved(storage, tmp_path / "models", pickled)


def test_a_run_that_goes_on_needs_its_parent_no_more(storage: Path, tmp_path: Path) -> None:
    found = resolve_models(config(inheritance={"parent": "/gone"}), [tmp_path], storage, started=True)
    assert found.inheritance is not None
    assert not found.inheritance.parent
