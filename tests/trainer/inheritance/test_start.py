"""Runs that start from a parent: what they compute, what they say of it, what is cached and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.errors import InvalidInput
from model.inheritance.folder import ParentFolder
from model.tokenizer.reading import read_tokenizer
from trainer.config import JsonlCorpus, ProxyConfig
from trainer.inheritance.calibration import calibration_texts, parents_tokens, students_tokens
from trainer.inheritance.making import Making
from trainer.inheritance.record import read_record, record_folder
from trainer.inheritance.start import Start, inherited_start
from trainer.loop import TrainingRun
from trainer.proxies import train, train_stack
from trainer.text.cached_corpus import CachedCorpus
from trainer.text.data import PreparedData, prepare

METHODS = ("random", "l1", "l2", "taylor", "learned_mask")
CPU = torch.device("cpu")
Student = Callable[..., ProxyConfig]


def _start(config: ProxyConfig, data: PreparedData, storage: Path) -> Start:
    start = inherited_start(config, data, storage, CPU)
    assert start is not None
    return start


def test_a_network_without_a_parent_starts_nowhere(config: ProxyConfig, data: PreparedData, storage: Path) -> None:
    assert inherited_start(config, data, storage, CPU) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_student_of_the_parents_shape_computes_what_the_parent_does(
    student: Student, data: PreparedData, storage: Path, parent_network: torch.nn.Module, method: str
) -> None:
    config = student(architecture={"depth": 4, "width": 48, "ffn_width": 64, "kv_heads": 3}, neurons=method)
    start = _start(config, data, storage)
    weights = start.weights(config.architecture)
    for name, parameter in parent_network.named_parameters():
        assert torch.equal(weights[name], parameter), name
    record = start.record
    assert record.bits_per_byte == pytest.approx(record.parent_bits_per_byte, rel=1e-6)
    assert record.layers == (0, 1, 2, 3)
    assert record.token_share == 1
    assert set(record.kept.model_dump().values()) == {1.0}


def test_a_trained_parents_students_start_below_chance(student: Student, data: PreparedData, storage: Path) -> None:
    """Bits per byte of a uniform guess is that of the drawn network; any inherited half of the parent knows more."""
    uniform = np.log2(300) / data.bytes_per_token
    for method in METHODS:
        record = _start(student(neurons=method), data, storage).record
        assert record.parent_bits_per_byte < record.bits_per_byte < uniform


def test_runs_start_from_the_cache_and_say_where_they_came_from(student: Student, storage: Path) -> None:
    config = student(neurons="taylor", parent_train_flops=5e9)
    *_, last = train(config, storage)
    assert last.summary is not None
    attributes, metrics = last.summary.attributes, last.summary.metrics
    record = read_record(record_folder(storage, str(attributes["inheritance_key"])))
    assert record is not None
    assert attributes["inherit_method"] == "taylor"
    assert attributes["inherit_layers"] == "importance"
    assert attributes["parent_fingerprint"] == record.parent_fingerprint
    assert attributes["parent_train_flops"] == 5e9
    assert attributes["inherit_flops"] == record.importance_flops + record.score_flops > 0
    assert attributes["spent_flops"] == metrics["train_flops"] + record.flops
    assert attributes["inherited_bits_per_byte"] == record.bits_per_byte


def test_a_stack_starts_each_member_at_its_own_weights(student: Student, data: PreparedData, storage: Path) -> None:
    configs = [student(neurons="random", seed=seed) for seed in (0, 1)]
    starts_alone = [_start(config, data, storage) for config in configs]
    run = TrainingRun(configs[0], data, configs[1:])
    run.start_from(starts_alone)
    for index, (config, start) in enumerate(zip(configs, starts_alone, strict=True)):
        for name, weight in start.weights(config.architecture).items():
            assert torch.equal(run.program.parameters[name][index], weight)  # type: ignore[attr-defined]
    told = list(train_stack(configs, storage))[-1]
    keys = {result.summary.attributes["inheritance_key"] for result in told.values()}  # type: ignore[union-attr]
    assert keys == {start.record.key for start in starts_alone}


@pytest.mark.parametrize(
    ("method", "same"), [("random", False), ("learned_mask", False), ("l1", True), ("taylor", True)]
)
def test_only_methods_that_draw_depend_on_the_seed(
    student: Student, data: PreparedData, storage: Path, method: str, same: bool
) -> None:
    first, second = (_start(student(neurons=method, seed=seed), data, storage) for seed in (0, 1))
    assert (first.record.key == second.record.key) is same


def test_what_is_cached_is_not_computed_again(
    student: Student, data: PreparedData, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = student(neurons="l2", calibration_bytes=3000)
    before = _start(config, data, storage)

    def refuse(making: Making, folder: Path, key: str) -> None:
        raise AssertionError("it was computed again")

    monkeypatch.setattr(Making, "write", refuse)
    monkeypatch.setattr(ParentFolder, "fingerprint", refuse)
    assert _start(config, data, storage).record == before.record


def test_a_start_that_was_cut_off_is_made_again(student: Student, data: PreparedData, storage: Path) -> None:
    config = student(neurons="l1", calibration_bytes=3000)
    start = _start(config, data, storage)
    weights = start.folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    with pytest.raises(InvalidInput, match=f"remove {start.folder}"):
        start.weights(config.architecture)
    _start(config, data, storage)
    assert weights.read_bytes() == whole


def test_a_killed_computation_leaves_nothing_that_is_used(
    student: Student, data: PreparedData, storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = student(neurons="l2", calibration_bytes=3500)
    whole = Making.record

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Making, "record", killed)
    with pytest.raises(KeyboardInterrupt):
        inherited_start(config, data, storage, CPU)
    monkeypatch.setattr(Making, "record", whole)
    record = _start(config, data, storage).record
    assert record.calibration_bytes == 3500


def test_layers_by_first_or_uniform_cost_no_table(student: Student, data: PreparedData, storage: Path) -> None:
    first = _start(student(neurons="l1", layers="first"), data, storage).record
    uniform = _start(student(neurons="l1", layers="uniform"), data, storage).record
    assert (first.layers, uniform.layers) == ((0, 1), (0, 2))
    assert first.importance is None
    assert first.flops == 0


def test_another_vocabulary_is_mapped(
    student: Student, corpus: JsonlCorpus, storage: Path, parent_network: torch.nn.Module
) -> None:
    own = prepare(corpus, 290, 10_000, storage)
    config = student(
        architecture={"vocabulary_size": 290, "depth": 4, "width": 48, "ffn_width": 64, "kv_heads": 3}, neurons="l1"
    )
    start = _start(config, own, storage)
    assert 0.9 < start.record.token_share <= 1
    assert start.record.bits_per_byte == pytest.approx(start.record.parent_bits_per_byte, rel=0.1)


def test_calibration_is_training_text_and_has_the_same_bytes_for_all(
    corpus: JsonlCorpus, data: PreparedData, storage: Path, parent_folder: Path
) -> None:
    source = CachedCorpus(corpus, 10_000, storage, "proxy.corpus")
    texts = calibration_texts(source, 4000)
    assert sum(len(text.encode()) for text in texts) == 4000
    assert all(any(whole.startswith(text) for whole in source.split.train) for text in texts)
    assert not any(text in held for held in source.split.validation for text in texts)
    by_parent = parents_tokens(texts, read_tokenizer(parent_folder / "tokenizer.json"), 300, 32)
    by_student = students_tokens(texts, data.tokenizer, 32)
    assert by_parent.text_bytes == by_student.text_bytes == 4000
    assert torch.equal(by_parent.inputs_ns, by_student.inputs_ns)
    assert int(data.token_bytes[by_parent.targets_ns[by_parent.targets_ns >= 0]].sum()) == 4000


def test_text_whose_tokens_have_no_row_is_refused(parent_folder: Path) -> None:
    tokenizer = read_tokenizer(parent_folder / "tokenizer.json")
    highest = max(tokenizer.ids[token] for token in tokenizer.tokenizer.encode("the end").tokens)
    assert parents_tokens(["the end"], tokenizer, highest + 1, 8).tokens == 8
    with pytest.raises(InvalidInput, match=f"tokenizer that writes the corpus with the number {highest}"):
        parents_tokens(["the end"], tokenizer, highest, 8)
    ending = replace(tokenizer, ids={**tokenizer.ids, tokenizer.special[0]: 300})
    with pytest.raises(InvalidInput, match="with the number 300") as caught:
        parents_tokens(["the end"], ending, 300, 8, "--parent")
    assert caught.value.field == "--parent"


class TestRefusals:
    @pytest.fixture
    def folder(self, parent_folder: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(parent_folder, tmp_path / "copied"))

    @pytest.mark.parametrize(
        ("architecture", "said"),
        [
            ({"depth": 5}, "depth"),
            ({"width": 56, "kv_heads": 7}, "width"),
            ({"ffn_width": 65}, "ffn_width"),
            ({"head_dim": 16}, "head_dim"),
            ({"block": "pangu_pi"}, "pangu_pi"),
        ],
    )
    def test_shapes(
        self, student: Student, data: PreparedData, storage: Path, architecture: dict[str, object], said: str
    ) -> None:
        with pytest.raises(InvalidInput, match=said) as caught:
            inherited_start(student(architecture=architecture), data, storage, CPU)
        assert caught.value.field == "inherit.parent"

    def test_a_folder_without_a_tokenizer(
        self, student: Student, data: PreparedData, storage: Path, folder: Path
    ) -> None:
        (folder / "tokenizer.json").unlink()
        with pytest.raises(InvalidInput, match="tokenizer"):
            inherited_start(student(parent=str(folder)), data, storage, CPU)

    def test_pickled_weights(self, student: Student, data: PreparedData, storage: Path, folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        with pytest.raises(InvalidInput, match="pickled"):
            inherited_start(student(parent=str(folder)), data, storage, CPU)

    @pytest.mark.parametrize("poison", [float("nan"), float("inf")])
    def test_weights_that_are_no_numbers(
        self, student: Student, data: PreparedData, storage: Path, folder: Path, poison: float
    ) -> None:
        weights = load_file(folder / "model.safetensors")
        weights["model.layers.1.mlp.up_proj.weight"][3, 4] = poison
        save_file(weights, folder / "model.safetensors")
        with pytest.raises(InvalidInput, match="NaN or infinities"):
            inherited_start(student(parent=str(folder)), data, storage, CPU)

    def test_broken_weights(self, student: Student, data: PreparedData, storage: Path, folder: Path) -> None:
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
        with pytest.raises(InvalidInput, match="cannot be read"):
            inherited_start(student(parent=str(folder)), data, storage, CPU)

    def test_weights_of_another_config(self, student: Student, data: PreparedData, storage: Path, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 72}))
        with pytest.raises(InvalidInput, match="does not belong to the config"):
            inherited_start(student(parent=str(folder)), data, storage, CPU)

    def test_a_parent_that_the_memory_does_not_hold(
        self, student: Student, data: PreparedData, storage: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from trainer.machine import memory

        monkeypatch.setattr(memory, "available_bytes", lambda device: 2**20)
        with pytest.raises(InvalidInput, match="while the parent is read") as caught:
            inherited_start(student(neurons="l1", calibration_bytes=2000), data, storage, CPU)
        assert caught.value.field == "memory"
