import errno
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from model.counts import count_parameters
from model.errors import InvalidInput, WriteFailed
from model.hf import from_transformers
from model.initialization import initialize
from model.transformer import Transformer
from studies.exports import Provenance, SmokeTest, collect_provenance, write, write_export
from studies.exports.readme import render_readme
from studies.recipe import Recipe, leaves
from studies.spec import StudySpec
from tests.large_tokenizers import WRITERS
from tests.studies.exports.recipes import SPEC, STEPS, recipe_on
from trainer.config import BuiltinCorpus, CompressedTokenizer, JsonlCorpus, PretrainConfig
from trainer.pretrain import pretrain

torch.set_num_threads(1)
FORMATS_HERE = ("formulary", "hf")
"""Formats that need no framework but those that Formulary has anyway; tests of the others are in test_formats.py."""


@pytest.fixture(scope="session")
def recipe(corpus: Path) -> Recipe:
    return recipe_on(JsonlCorpus(kind="jsonl", path=str(corpus)))


@pytest.fixture(scope="session")
def folders(
    recipe: Recipe, provenance: Provenance, storage: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """One export in each format."""
    parent = tmp_path_factory.mktemp("exports")
    for name in FORMATS_HERE:
        write_export(name, recipe, provenance, storage, parent / name)
    return {name: parent / name for name in FORMATS_HERE}


def document(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "formulary.json").read_text(encoding="utf-8"))
    return content


class TestFolder:
    @pytest.mark.parametrize("name", FORMATS_HERE)
    def test_formulary_json_holds_the_config_its_sources_and_their_provenance(
        self, name: str, folders: dict[str, Path], provenance: Provenance
    ) -> None:
        content = document(folders[name])
        config = PretrainConfig.model_validate(content["pretrain"])
        assert {field["name"]: field["value"] for field in content["recipe"]} == dict(leaves(config))
        assert (content["version"], content["format"]) == (1, name)
        assert Provenance.model_validate(content["provenance"]) == provenance

    def test_formulary_holds_no_more_than_it_needs(self, folders: dict[str, Path]) -> None:
        assert {path.name for path in folders["formulary"].iterdir()} == {
            "README.md",
            "formulary.json",
            "tokenizer.json",
        }

    def test_manifest_tells_every_file(
        self, recipe: Recipe, provenance: Provenance, storage: Path, tmp_path: Path
    ) -> None:
        manifest = write_export("formulary", recipe, provenance, storage, tmp_path / "out")
        assert {file.name for file in manifest.files} == {path.name for path in (tmp_path / "out").iterdir()}
        for file in manifest.files:
            content = (tmp_path / "out" / file.name).read_bytes()
            assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert manifest.total_parameters == count_parameters(recipe.config.architecture).total

    def test_unknown_format_names_the_known_ones(
        self, recipe: Recipe, provenance: Provenance, storage: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(InvalidInput, match="formulary, hf") as caught:
            write_export("gguf", recipe, provenance, storage, tmp_path / "out")
        assert caught.value.field == "format"

    def test_never_overwrites(self, recipe: Recipe, provenance: Provenance, storage: Path, tmp_path: Path) -> None:
        (tmp_path / "checkpoint").write_text("precious")
        with pytest.raises(InvalidInput) as caught:
            write_export("formulary", recipe, provenance, storage, tmp_path)
        assert caught.value.field == "folder"
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]

    @pytest.mark.parametrize("name", FORMATS_HERE)
    def test_a_half_export_is_never_seen(
        self,
        name: str,
        recipe: Recipe,
        provenance: Provenance,
        storage: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object) -> str:
            assert not (tmp_path / "out").exists()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(write, "render_readme", fail)
        with pytest.raises(WriteFailed, match=r"^out could not be written: No space left on device"):
            write_export(name, recipe, provenance, storage, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_a_corpus_too_small_for_the_vocabulary_leaves_nothing(
        self, recipe: Recipe, provenance: Provenance, storage: Path, tmp_path: Path
    ) -> None:
        architecture = recipe.config.architecture.model_copy(update={"vocabulary_size": 60_000})
        config = recipe.config.model_copy(update={"architecture": architecture})
        with pytest.raises(InvalidInput) as caught:
            write_export("hf", recipe.model_copy(update={"config": config}), provenance, storage, tmp_path / "out")
        assert caught.value.field == "vocabulary_size"
        assert list(tmp_path.iterdir()) == []

    def test_weights_that_nothing_holds_are_refused_before_they_are_drawn(
        self, recipe: Recipe, provenance: Provenance, storage: Path, tmp_path: Path
    ) -> None:
        huge = {"depth": 1024, "width": 65536, "kv_heads": 65536 // recipe.config.architecture.head_dim}
        architecture = recipe.config.architecture.model_copy(update=huge)
        config = recipe.config.model_copy(update={"architecture": architecture})
        with pytest.raises(InvalidInput, match="use the formulary format"):
            write_export("hf", recipe.model_copy(update={"config": config}), provenance, storage, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


class TestReadme:
    @pytest.mark.parametrize("name", FORMATS_HERE)
    def test_tells_each_field_with_its_source_and_how_to_start(self, name: str, folders: dict[str, Path]) -> None:
        page = (folders[name] / "README.md").read_text(encoding="utf-8")
        assert "formulary pretrain DIR" in page
        for field in document(folders[name])["recipe"]:
            row = next(line for line in page.splitlines() if line.startswith(f"| `{field['name']}` |"))
            assert f"| {field['source']} |" in row
            assert row.replace("\\|", "").count("|") == 7
        assert ("AutoModelForCausalLM" in page) == (name == "hf")

    @pytest.mark.parametrize("name", FORMATS_HERE)
    def test_holds_no_path_of_this_machine(
        self, name: str, folders: dict[str, Path], corpus: Path, storage: Path
    ) -> None:
        page = (folders[name] / "README.md").read_text(encoding="utf-8")
        for path in (corpus.parent, storage, folders[name].parent, Path.cwd(), Path.home()):
            assert str(path) not in page
        assert corpus.name in page

    def test_a_name_cannot_break_the_page(self, folders: dict[str, Path]) -> None:
        first = (folders["hf"] / "README.md").read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("# a \\| study of &lt;exports>: ")

    def test_warnings_are_there(self, provenance: Provenance, recipe: Recipe) -> None:
        warned = recipe.model_copy(update={"warnings": ("far from the trials",), "extrapolation": {"tokens": 12.3456}})
        tried = SmokeTest(method="schema", software="nothing | else", done=("read",), left_out=("run",), parameters=7)
        page = render_readme(warned, provenance, "", ["another | order"], tried)
        assert "- far from the trials" in page
        assert "×12.3 outside" in page
        assert "trials 0-3, 9" in page
        assert "- It was compared with nothing \\| else." in page
        assert "- Not tried: run" in page
        assert "- another \\| order" in page


class TestHuggingFace:
    def test_transformers_loads_it_with_the_same_parameters(self, folders: dict[str, Path], recipe: Recipe) -> None:
        model = AutoModelForCausalLM.from_pretrained(folders["hf"])
        counts = count_parameters(recipe.config.architecture)
        assert model.num_parameters() == counts.total
        assert model.num_parameters(exclude_embeddings=True) == counts.total - counts.embedding

    def test_transformers_loads_the_tokenizer(self, folders: dict[str, Path], recipe: Recipe) -> None:
        tokenizer = AutoTokenizer.from_pretrained(folders["hf"])
        text = "def add(a, b):\n    return a + b  # σ\n"
        assert len(tokenizer) == recipe.config.architecture.vocabulary_size
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text

    def test_the_weights_are_those_of_the_seed(self, folders: dict[str, Path], recipe: Recipe) -> None:
        config = recipe.config
        drawn = Transformer(config.architecture)
        std = config.initialization.std_at(config.architecture.base_width)
        initialize(drawn, config.initialization.scheme, std, config.seed)
        written = from_transformers(folders["hf"]).state_dict()
        assert all(torch.equal(weight, written[name]) for name, weight in drawn.state_dict().items())

    def test_initial_weights_name_their_source(self, folders: dict[str, Path]) -> None:
        field = next(field for field in document(folders["hf"])["recipe"] if field["name"] == "initial_weights")
        assert (field["value"], field["source"]) == ("model.safetensors", "derived")


class TestNetworkOptions:
    def test_pangu_pi_is_refused_for_hf_and_trains_from_formulary(
        self, corpus: Path, provenance: Provenance, storage: Path, tmp_path: Path
    ) -> None:
        made = recipe_on(JsonlCorpus(kind="jsonl", path=str(corpus)), block="pangu_pi", qk_norm=True)
        with pytest.raises(InvalidInput, match=r"^format: hf has no class .* use the format formulary"):
            write_export("hf", made, provenance, storage, tmp_path / "hf")
        assert not list(tmp_path.iterdir())
        folder = tmp_path / "own"
        write_export("formulary", made, provenance, storage, folder)
        whole = shutil.copytree(folder, tmp_path / "whole")
        expected = [result.train_loss for result in pretrain(whole, storage, [corpus.parent], 6)]
        losses = [result.train_loss for steps in (3, 6) for result in pretrain(folder, storage, [corpus.parent], steps)]
        assert losses == expected  # the checkpoint holds the tensors that LLaMA has not
        assert losses[-1] < losses[0]

    def test_mup_starts_as_the_same_network_in_transformers_and_here(
        self, corpus: Path, provenance: Provenance, storage: Path, tmp_path: Path
    ) -> None:
        made = recipe_on(JsonlCorpus(kind="jsonl", path=str(corpus)), init_scheme="mup", mup_base_width=16)
        for name in FORMATS_HERE:
            write_export(name, made, provenance, storage, tmp_path / name)
        config = PretrainConfig.model_validate(document(tmp_path / "hf")["pretrain"])
        assert config.initial_weights is None
        drawn = Transformer(config.architecture)
        initialize(drawn, "mup", config.initialization.std_at(16), config.seed)
        tokens = torch.arange(40).view(2, 20)
        with torch.no_grad():
            logits = AutoModelForCausalLM.from_pretrained(tmp_path / "hf")(tokens).logits
            torch.testing.assert_close(logits, drawn(tokens), atol=1e-5, rtol=1e-5)
        first, again = (next(iter(pretrain(tmp_path / name, storage, [corpus.parent], 1))) for name in FORMATS_HERE)
        assert first.train_loss == again.train_loss


class TestPretrain:
    @pytest.mark.parametrize("name", FORMATS_HERE)
    def test_lowers_the_loss(
        self, name: str, folders: dict[str, Path], corpus: Path, storage: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(folders[name], tmp_path / name)
        results = list(pretrain(folder, storage, [corpus.parent], None))
        assert len(results) == STEPS
        assert math.log(512) - 0.2 < results[0].train_loss < math.log(512) + 0.7  # unit logits add half a nat
        assert results[-1].train_loss < results[0].train_loss - 0.5
        assert results[-1].finished

    def test_hf_starts_from_its_weights_not_from_its_seed(
        self, folders: dict[str, Path], corpus: Path, storage: Path, tmp_path: Path
    ) -> None:
        first = {}
        for name, scale in (("same", 1.0), ("scaled", 0.5)):
            folder = shutil.copytree(folders["hf"], tmp_path / name)
            weights = load_file(folder / "model.safetensors")
            save_file({key: scale * value for key, value in weights.items()}, folder / "model.safetensors")
            first[name] = next(iter(pretrain(folder, storage, [corpus.parent], 1))).train_loss
        seeded = shutil.copytree(folders["formulary"], tmp_path / "seeded")
        assert first["same"] == next(iter(pretrain(seeded, storage, [corpus.parent], 1))).train_loss
        assert first["scaled"] < first["same"] - 0.1  # smaller logits are nearer to a uniform guess

    @pytest.mark.slow
    def test_builtin_corpus(self, provenance: Provenance, storage: Path, tmp_path: Path) -> None:
        write_export("formulary", recipe_on(BuiltinCorpus()), provenance, storage, tmp_path / "out")
        results = list(pretrain(tmp_path / "out", storage, [], STEPS))
        assert results[-1].train_loss < results[0].train_loss - 0.5


class TestProvenance:
    def test_names_the_software(self, provenance: Provenance) -> None:
        assert {"python", "torch", "transformers", "ray", "optuna"} <= provenance.versions.keys()
        assert provenance.created_at.tzinfo is UTC
        assert provenance.trials == (0, 1, 2, 3, 9)

    def test_spec_digest_tells_specs_apart(self) -> None:
        same = StudySpec.model_validate(json.loads(SPEC.model_dump_json()))
        another = SPEC.model_copy(update={"name": "another"})
        digests = [collect_provenance(7, spec, [], []).spec_digest for spec in (SPEC, same, another)]
        assert digests[0] == digests[1] != digests[2]


def test_the_registry_needs_no_torch() -> None:
    code = "import sys, studies.exports, studies.recipe; sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestCompressedTokenizer:
    def test_an_export_carries_it_for_transformers_and_for_training(
        self, corpus: Path, provenance: Provenance, storage: Path, tmp_path: Path
    ) -> None:
        large = CompressedTokenizer(kind="compressed", path=str(WRITERS["SentencePiece"](tmp_path)))
        recipe = recipe_on(JsonlCorpus(kind="jsonl", path=str(corpus)), tokenizer=large)
        write_export("hf", recipe, provenance, storage, tmp_path / "hf")
        Path(large.path).unlink()
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "hf")
        text = " two  spaces, 汉字\n"
        assert len(tokenizer) == 512
        assert tokenizer.eos_token == "</s>"
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert str(tmp_path) not in (tmp_path / "hf" / "README.md").read_text(encoding="utf-8")
        *_, last = pretrain(tmp_path / "hf", storage, [corpus.parent], max_steps=2)
        assert last.step == 2
