"""The formats that other frameworks train: one recipe in each of them, the same network and the same run."""

import json
import math
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from api.commands import export as export_command
from model.counts import count_parameters, training_flops_per_token
from model.errors import InvalidInput
from model.initialization import RESIDUAL_STD
from studies.exports import EXPORTERS, ExportManifest, Provenance, SmokeTestFailed, internevo, litgpt, torchtitan
from studies.exports import write as writing
from studies.exports.run import Run, realise
from studies.exports.scripts import convert_to_litgpt, prepare_internevo_data
from studies.exports.smoke import child, framework, training
from studies.exports.smoke import internevo as internevo_smoke
from studies.exports.smoke.child import Checked, run_check
from studies.exports.smoke.internevo import ConfigFile, read_literals
from studies.recipe import Recipe, check_format
from studies.recipe.evidence import Prediction
from studies.recipe.formats import FORMATS
from studies.service import ExportRequest
from tests.studies.exports.recipes import STEPS, changed, recipe_on
from trainer.config import BuiltinCorpus, JsonlCorpus
from trainer.machine.software import installed_versions
from trainer.plan import RunPlan, learning_rate, plan_run
from trainer.pretrain import pretrain
from trainer.rounds.config import RoundsConfig
from trainer.run_folder import read_pretrain_config

torch.set_num_threads(1)
FOREIGN = ("litgpt", "torchtitan", "internevo")
SHAPE: dict[str, Any] = {"tied_head": False, "ffn_width": 256, "kv_heads": 2}
"""What every format can hold, with fewer key heads than heads."""
RECIPE = changed(recipe_on(BuiltinCorpus()), **SHAPE)
PLAN = RunPlan(STEPS, 2, frozenset({STEPS}))
INSTALLED = installed_versions(["litgpt", "torchtitan"])


def not_here(*_: object) -> Checked:
    """What a check says whose framework cannot be imported."""
    return Checked(importable=False, left_out=("this test does not import it.",))


@pytest.fixture(scope="module")
def recipe(corpus: Path) -> Recipe:
    return changed(recipe_on(JsonlCorpus(kind="jsonl", path=str(corpus))), **SHAPE)


@pytest.fixture(scope="module")
def exported(
    recipe: Recipe, provenance: Provenance, storage: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, ExportManifest]]:
    """The recipe in every format, of foreign frameworks as on a machine that has none of them."""
    parent = tmp_path_factory.mktemp("formats")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framework, "run_check", not_here)
        manifests = {name: writing.write_export(name, recipe, provenance, storage, parent / name) for name in EXPORTERS}
    return parent, manifests


def run_of(recipe: Recipe) -> Run:
    return realise(recipe, bytes_per_token=2.0)


class TestEveryFormat:
    def test_counts_agree(self, exported: tuple[Path, dict[str, ExportManifest]], recipe: Recipe) -> None:
        _, manifests = exported
        total = count_parameters(recipe.config.architecture).total
        assert {manifest.smoke_test.parameters for manifest in manifests.values()} == {total}
        assert {manifest.total_parameters for manifest in manifests.values()} == {total}

    @pytest.mark.parametrize("name", EXPORTERS)
    def test_says_what_was_tried(self, name: str, exported: tuple[Path, dict[str, ExportManifest]]) -> None:
        parent, manifests = exported
        test = manifests[name].smoke_test
        page = (parent / name / "README.md").read_text(encoding="utf-8")
        stored = json.loads((parent / name / "formulary.json").read_text(encoding="utf-8"))
        assert stored["smoke_test"] == test.model_dump(mode="json")
        assert stored["differences"] == list(manifests[name].differences)
        assert test.software in page
        assert all(line in page for line in (*test.done, *test.left_out, *manifests[name].differences))
        assert test.method == {"formulary": "training", "hf": "loading"}.get(name, "schema")
        assert bool(test.left_out) == bool(manifests[name].differences) == (name in FOREIGN)

    @pytest.mark.parametrize("name", EXPORTERS)
    def test_files_of_the_readme_are_there(self, name: str, exported: tuple[Path, dict[str, ExportManifest]]) -> None:
        folder = exported[0] / name
        start = (folder / "README.md").read_text(encoding="utf-8").partition("## What was tried")[0]
        named = set(re.findall(r"\b[\w-]+\.(?:py|toml|yaml|json|safetensors)\b", start)) - {"train.py"}
        assert named <= {path.name for path in folder.iterdir()}
        assert len(named) >= {"formulary": 0, "hf": 0, "internevo": 2}.get(name, 3)

    @pytest.mark.parametrize("name", EXPORTERS)
    def test_formulary_trains_it(
        self, name: str, exported: tuple[Path, dict[str, ExportManifest]], storage: Path, corpus: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(exported[0] / name, tmp_path / name)
        losses = [result.train_loss for result in pretrain(folder, storage, [corpus.parent], 2)]
        assert losses == sorted(losses, reverse=True)
        assert len(losses) == 2
        assert not list(folder.glob("*.pth")) + list(folder.glob("*.bin"))

    def test_holds_nothing_that_its_manifest_does_not_tell(
        self, exported: tuple[Path, dict[str, ExportManifest]]
    ) -> None:
        parent, manifests = exported
        for name, manifest in manifests.items():
            assert {file.name for file in manifest.files} == {path.name for path in (parent / name).iterdir()}


class TestFrameworks:
    """The real check of each framework that is installed, on options that the other tests do not have."""

    @pytest.mark.parametrize("name", ["torchtitan", "litgpt"])
    def test_its_own_classes_give_the_same_logits(
        self, name: str, corpus: Path, provenance: Provenance, storage: Path, tmp_path: Path
    ) -> None:
        if name not in INSTALLED:
            pytest.skip(f"{name} is not installed")
        schedule = {"schedule": "wsd", "warmup_ratio": 0.2} if name == "torchtitan" else {}
        made = recipe_on(JsonlCorpus(kind="jsonl", path=str(corpus)), qk_norm=True, **schedule)
        manifest = writing.write_export(name, changed(made, kv_heads=2), provenance, storage, tmp_path / name)
        test = manifest.smoke_test
        assert (test.method, test.software) == ("loading", f"{name} {INSTALLED[name]}")
        assert any("logits differ by at most" in line for line in test.done)
        assert all(path.is_file() for path in (tmp_path / name).iterdir())  # the check leaves nothing behind
        assert name != "torchtitan" or any("learning rates are Formulary's" in line for line in test.done)


def write_broken(name: str, document: str, old: str, new: str) -> Callable[..., Recipe]:
    """The writer of a format whose file ``document`` then says something else."""
    write = EXPORTERS[name].write

    def broken(run: Run, title: str, folder: Path) -> Recipe:
        recorded = write(run, title, folder)
        text = (folder / document).read_text(encoding="utf-8")
        assert text.count(old) == 1
        (folder / document).write_text(text.replace(old, new), encoding="utf-8")
        return recorded

    return broken


class TestBrokenExports:
    @pytest.mark.parametrize(
        ("name", "document", "old", "new", "said"),
        [
            ("hf", "config.json", '"num_hidden_layers": 4', '"num_hidden_layers": 5', "does not find its weights"),
            ("hf", "tokenizer.json", '"<|endoftext|>": 0', '"<|end|>": 0', "."),
            ("torchtitan", "model_args.json", '"hidden_dim": 256', '"hidden_dim": 257', "parameters, the recipe"),
            ("torchtitan", "train.toml", "[optimizer]\n", "[optimizer]\nmomentum = 0.9\n", "momentum"),
            ("litgpt", "pretrain.yaml", "n_layer: 4", "n_layer: 3", "parameters, the recipe"),
            ("litgpt", "pretrain.yaml", "bias: false\n  mlp", "bias: true\n  mlp", "bias"),
            ("internevo", internevo.CONFIG, "'mlp_ratio': 4.0", "'mlp_ratio': 4.1", "parameters, the recipe"),
            ("internevo", internevo.CONFIG, "'no_bias': True", "'no_bias': False", "no_bias"),
            ("internevo", internevo.CONFIG, "DO_ALERT = False", "import os", "no assignment"),
        ],
    )
    def test_are_not_offered(
        self,
        name: str,
        document: str,
        old: str,
        new: str,
        said: str,
        recipe: Recipe,
        provenance: Provenance,
        storage: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(framework, "run_check", not_here)
        exporter = replace(EXPORTERS[name], write=write_broken(name, document, old, new))
        monkeypatch.setattr(writing, "EXPORTERS", {**EXPORTERS, name: exporter})
        with pytest.raises(SmokeTestFailed, match=said):
            writing.write_export(name, recipe, provenance, storage, tmp_path / "out")
        assert not list(tmp_path.iterdir())


class TestLimits:
    def test_every_format_is_named_everywhere(self) -> None:
        asked = get_args(ExportRequest.model_fields["format"].annotation)
        assert (
            set(FORMATS)
            == set(EXPORTERS)
            == set(asked)
            == set(re.findall(r"[a-z]{2,}", export_command.FORMATS)) & set(FORMATS)
        )

    @pytest.mark.parametrize(
        ("change", "refusing"),
        [
            ({"tied_head": True}, {"internevo"}),
            ({"qk_norm": True}, {"internevo"}),
            ({"ffn_width": 240}, {"internevo"}),
            ({"rope_theta": 10_000.5}, {"internevo", "litgpt"}),
            ({"schedule": "wsd"}, {"internevo", "litgpt"}),
            ({"mask_documents": True}, {"litgpt", "torchtitan"}),
            ({"z_loss": 1e-4}, set(FOREIGN)),
            ({"mup_base_width": 64, "scheme": "mup"}, set(FOREIGN)),
            ({"block": "pangu_pi"}, {*FOREIGN, "hf"}),
        ],
    )
    def test_what_a_format_lacks_is_refused_with_formats_that_can(
        self, change: dict[str, Any], refusing: set[str], recipe: Recipe
    ) -> None:
        made = changed(recipe, **change)
        for name in FORMATS:
            if name not in refusing:
                check_format(name, made)
                continue
            with pytest.raises(InvalidInput, match=rf"{name} has no ") as caught:
                check_format(name, made)
            assert caught.value.field == "format"
            able = re.findall(r"\w+", caught.value.remedy.partition(",")[0])
            assert "formulary" in able
            assert not refusing & set(able)


class TestSettings:
    def test_every_framework_trains_the_same_run(self, recipe: Recipe) -> None:
        run = run_of(recipe)
        optimization = recipe.config.optimization
        titan, lit, intern = torchtitan.job_config(run, ""), litgpt.pretrain_config(run, ""), internevo.config(run, "")
        assert run.plan.steps == STEPS
        assert {titan["training"]["steps"], intern["data"]["total_steps"], lit["train"]["max_tokens"] // 512} == {STEPS}
        sequences = 512 // 64
        assert (titan["training"]["global_batch_size"], lit["train"]["global_batch_size"]) == (sequences, sequences)
        assert intern["data"]["micro_num"] * intern["data"]["micro_bsz"] == sequences
        last = learning_rate(optimization, run.plan, STEPS)
        assert lit["train"]["min_lr"] == intern["lr_scheduler"]["eta_min"] == pytest.approx(last)
        assert titan["optimizer"]["lr"] * titan["lr_scheduler"]["min_lr_factor"] == pytest.approx(last)
        assert {document["weight_decay"] for document in (titan["optimizer"], intern["adam"])} == {
            optimization.weight_decay
        }
        assert lit["optimizer"]["init_args"]["betas"] == [optimization.beta1, optimization.beta2]
        assert {lit["seed"], titan["debug"]["seed"], intern["data"]["seed"]} == {recipe.config.seed}

    def test_float32_stays_float32(self, recipe: Recipe) -> None:
        run = run_of(changed(recipe, precision="float32"))
        assert torchtitan.job_config(run, "")["training"]["mixed_precision_param"] == "float32"
        assert litgpt.pretrain_config(run, "")["precision"] == "32-true"
        assert internevo.model(run)["dtype"] == "torch.float32"

    @given(st.integers(1, 4000), st.integers(1, 40_000))
    def test_micro_batches_make_up_the_batch(self, sequences: int, micro_batch_tokens: int) -> None:
        config = RECIPE.config
        optimization = config.optimization.model_copy(update={"batch_tokens": 64 * sequences})
        small = config.model_copy(
            update={"optimization": optimization, "micro_batch_tokens": max(micro_batch_tokens, 2)}
        )
        run = Run(RECIPE.model_copy(update={"config": small}), PLAN)
        assert run.batch_sequences % run.micro_batch_sequences == 0
        assert run.micro_batch_sequences == 1 or run.micro_batch_sequences * 64 <= micro_batch_tokens

    @pytest.mark.parametrize(("gpus", "used", "command"), [(4, 4, "=4"), (3, 1, "=1"), (16, 16, "--nnodes=2")])
    def test_the_targets_gpus_share_a_batch(self, gpus: int, used: int, command: str, recipe: Recipe) -> None:
        asked = changed(recipe, batch_tokens=64 * 32)
        prediction = Prediction(
            total_parameters=1, non_embedding_parameters=1, embedding_share=0.5, steps=1, train_flops=1.0, gpus=gpus,
            memory_bytes=None, memory_limit_bytes=None, memory_basis="", mfu=None, mfu_basis="", days=None,
        )  # fmt: skip
        run = Run(asked.model_copy(update={"prediction": prediction}), PLAN)
        assert run.gpus == used
        assert run.accumulation * run.micro_batch_sequences * used == 32
        assert command in torchtitan.usage(run)
        assert command in internevo.usage(run)

    @given(st.integers(2, 10**7), st.data())
    def test_internevo_warms_up_for_the_steps_of_the_plan(self, steps: int, data: st.DataObject) -> None:
        warmup = data.draw(st.integers(0, steps - 1))
        assert int(steps * internevo.warmup_ratio(warmup, steps)) == warmup

    @pytest.mark.parametrize("scheme", ["constant", "gpt2", "internlm"])
    def test_internevo_draws_from_the_same_distributions(self, scheme: str, recipe: Recipe) -> None:
        model = internevo.model(run_of(changed(recipe, scheme=scheme)))
        for layer in range(model["num_layers"]):
            scale = math.sqrt(2 * (layer + 1)) if model["use_scaled_init"] else 1
            expected = RESIDUAL_STD[scheme](model["embedding_init_std"], model["num_layers"], layer)  # type: ignore[index]
            assert model["attn_other_init_std"] / scale == pytest.approx(expected)
            assert model["ffn_other_init_std"] == model["attn_other_init_std"]


class TestThePapersConfig:
    """configs/LLM1B.py of github.com/YuchuanTian/RethinkTinyLM: names and values of the paper's own InternEvo run."""

    def test_is_what_its_recipe_gives(self, recipe: Recipe) -> None:
        shape = {"width": 1792, "head_dim": 128, "kv_heads": 14, "depth": 20, "vocabulary_size": 48_000}
        rates = {"learning_rate": 1e-4, "final_learning_rate_ratio": 0.1}
        document = internevo.config(run_of(changed(recipe, **shape, ffn_width=4864, **rates)), "")
        paper = {"hidden_size": 1792, "num_attention_heads": 14, "num_layers": 20, "vocab_size": 48_000}
        assert {name: document["model"][name] for name in paper} == paper
        assert document["adam"] == {
            "lr": 1e-4,
            "adam_beta1": 0.9,
            "adam_beta2": 0.95,
            "adam_beta2_c": 0,
            "adam_eps": 1e-8,
            "weight_decay": 0.1,
        }
        assert document["lr_scheduler"]["eta_min"] == pytest.approx(1e-5)
        read = internevo_smoke.Model.model_validate(document["model"])
        assert read.model_copy(update={"mlp_ratio": 8 / 3}).ffn_width == read.ffn_width == 4864


class TestHostileText:
    """Names come from outside: they stay values, whatever they hold."""

    @settings(max_examples=30)
    @example("\x85")
    @given(st.text(max_size=60))
    def test_stays_inside_its_value(self, title: str) -> None:
        run = Run(RECIPE, PLAN)
        toml = tomllib.loads(torchtitan.render(torchtitan.job_config(run, title)))
        assert toml == torchtitan.job_config(run, title)
        document = yaml.safe_load(litgpt.render(litgpt.pretrain_config(run, title)))
        assert document == litgpt.pretrain_config(run, title)
        assert read_literals(internevo.render(internevo.config(run, title))) == internevo.config(run, title)

    @given(st.text(max_size=60))
    def test_internevo_gets_a_name_for_folders(self, title: str) -> None:
        assert re.fullmatch(r"[A-Za-z0-9_]{1,80}", internevo.job_name(title))

    @given(st.text(max_size=60))
    def test_python_literals_hold_any_text(self, text: str) -> None:
        assert read_literals(internevo.render({"JOB_NAME": text, "data": {text: text}})) == {
            "JOB_NAME": text,
            "data": {text: text},
        }

    @pytest.mark.parametrize(
        "source",
        ["import os", "a = print(1)", "a = b = 1", "a.b = 1", "a: int = 1", "def a(): pass", "a = [x for x in ()]"],
    )
    def test_only_literals_are_read(self, source: str) -> None:
        with pytest.raises(ValueError, match=r"line 1|malformed"):
            read_literals(source)

    def test_a_config_of_other_names_is_refused(self, recipe: Recipe) -> None:
        document = internevo.config(run_of(recipe), "t")
        assert ConfigFile.model_validate(document)
        with pytest.raises(ValueError, match="surprise"):
            ConfigFile.model_validate({**document, "surprise": 1})


class TestScripts:
    def test_litgpt_weights_hold_every_number_once(
        self, exported: tuple[Path, dict[str, ExportManifest]], recipe: Recipe, tmp_path: Path, monkeypatch: Any
    ) -> None:
        folder = shutil.copytree(exported[0] / "litgpt", tmp_path / "litgpt")
        monkeypatch.setattr(convert_to_litgpt, "__file__", str(folder / "convert_to_litgpt.py"))
        convert_to_litgpt.main()
        written = torch.load(folder / "initial" / "lit_model.pth", weights_only=True)
        assert sum(weight.numel() for weight in written.values()) == count_parameters(recipe.config.architecture).total
        assert {path.name for path in (folder / "initial").iterdir()} >= {"model_config.yaml", "tokenizer.json"}
        source = load_file(folder / "model.safetensors")
        assert torch.equal(
            written["transformer.h.0.attn.qkv.weight"][:64], source["model.layers.0.self_attn.q_proj.weight"]
        )

    def test_internevo_finds_every_document(
        self, exported: tuple[Path, dict[str, ExportManifest]], corpus: Path, tmp_path: Path
    ) -> None:
        tokenizer = exported[0] / "internevo" / "tokenizer.json"
        prepare_internevo_data.main(corpus, tmp_path / "en", tokenizer)
        written = (tmp_path / "en" / "part.bin").read_bytes()
        meta = np.load(tmp_path / "en" / "part.bin.meta")
        assert len(meta) == len(corpus.read_text(encoding="utf-8").splitlines())
        for start, length in meta.tolist():
            tokens = json.loads(written[start:].partition(b"\n")[0])["tokens"]
            assert (len(tokens), tokens[-1]) == (length, prepare_internevo_data.END_OF_TEXT_ID)

    @pytest.mark.parametrize("name", ["torchtitan", "litgpt", "internevo"])
    def test_are_copied_as_they_are(self, name: str, exported: tuple[Path, dict[str, ExportManifest]]) -> None:
        for path in (exported[0] / name).glob("*.py"):
            if path.name != internevo.CONFIG:
                assert path.read_bytes() == (Path(convert_to_litgpt.__file__).parent / path.name).read_bytes()


class TestChecksInAProcessOfTheirOwn:
    def test_a_check_that_fails_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(SmokeTestFailed, match="No module named no_such_check"):
            run_check("torchtitan", "no_such_check", tmp_path)

    def test_a_check_may_not_take_for_ever(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(child, "TIMEOUT_SECONDS", 0.2)
        (tmp_path / "sleeps.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
        monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
        with pytest.raises(SmokeTestFailed, match=r"more than 0\.2 seconds"):
            run_check("torchtitan", "sleeps", tmp_path)

    def test_a_check_sees_no_keys(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("FORMULARY_API_KEY", "fml_secret")
        (tmp_path / "prints_environment.py").write_text(
            "import json, os\nprint(json.dumps({'done': [str(sorted(os.environ))]}))\n", encoding="utf-8"
        )
        monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
        assert "FORMULARY" not in run_check("litgpt", "prints_environment", tmp_path).done[0]


class TestTrainingSteps:
    def test_a_large_run_is_cut_until_it_is_affordable(self, recipe: Recipe) -> None:
        shape = {"width": 1792, "head_dim": 128, "kv_heads": 14, "depth": 20, "vocabulary_size": 48_000}
        large = changed(recipe, **shape, ffn_width=4864, sequence_length=2048, batch_tokens=2**21).config
        small = training.affordable(large)
        batch = small.optimization.batch_tokens
        assert training_flops_per_token(small.architecture) * batch <= training.MAX_STEP_FLOPS
        assert small.architecture.model_copy(update={"depth": 20, "sequence_length": 2048}) == large.architecture
        assert len(training.cuts(large, small)) == 1

    def test_a_small_run_is_not_cut(self, exported: tuple[Path, dict[str, ExportManifest]]) -> None:
        folder, manifests = exported[0] / "formulary", exported[1]
        config = read_pretrain_config(folder)
        assert training.affordable(config).architecture == config.architecture
        assert manifests["formulary"].smoke_test.left_out == ()
        in_rounds = config.model_copy(update={"multiple_rounds": RoundsConfig(rounds=3, parts=100)})
        assert plan_run(training.affordable(in_rounds), 1.0).rounds is None  # too short for them
