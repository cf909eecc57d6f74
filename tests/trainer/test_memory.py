"""Predicted memory against what autograd keeps and what a process takes; what is left; what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.attention import AttentionBackend
from model.config import ArchitectureConfig
from model.counts import count_parameters
from model.errors import InvalidInput
from model.transformer import Transformer
from trainer import execution
from trainer.config import Precision, ProxyConfig
from trainer.loop import TrainingRun
from trainer.machine import memory, memory_use
from trainer.machine.allocation import give_freed_memory_back
from trainer.machine.memory import check_memory, named_memory_errors
from trainer.machine.memory_estimate import CPU_LIBRARY_BYTES, block_bytes_per_token, estimate_memory
from trainer.machine.memory_use import PeakMemory, available_bytes
from trainer.machine.precision import autocast
from trainer.text.data import PreparedData

CPU = torch.device("cpu")
SHAPE = {"vocabulary_size": 64, "width": 64, "ffn_width": 176, "head_dim": 16, "sequence_length": 128}
TOKENS = 512


def kept_by_autograd(architecture: ArchitectureConfig, backend: AttentionBackend, precision: Precision) -> int:
    """Bytes of a forward pass of ``TOKENS`` tokens, parameters, their copies and what has no batch left out."""
    network = Transformer(architecture, backend)
    parameters = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters and tensor.numel() >= TOKENS:
            kept[storage.data_ptr()] = tensor
        return tensor

    tokens = torch.zeros(TOKENS // architecture.sequence_length, architecture.sequence_length, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), autocast(precision, CPU):
        network.hidden(tokens)
    casts = sum(2 * p.numel() for p in network.blocks.parameters() if p.ndim == 2) if precision == "bfloat16" else 0
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) - casts


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kv_heads": 2},
        {"qk_norm": True, "kv_heads": 2},
        {"block": "pangu_pi"},
        {"mup_base_width": 32},
        {"mask_documents": True},
    ],
)
@pytest.mark.parametrize(("precision", "backend"), [("float32", "sdpa"), ("bfloat16", "sdpa"), ("bfloat16", "matmul")])
def test_a_block_keeps_what_is_predicted(
    precision: Precision, backend: AttentionBackend, options: dict[str, Any]
) -> None:
    shallow, deep = (ArchitectureConfig.model_validate({**SHAPE, **options, "depth": depth}) for depth in (1, 3))
    kept = kept_by_autograd(deep, backend, precision) - kept_by_autograd(shallow, backend, precision)
    assert kept == pytest.approx(2 * TOKENS * block_bytes_per_token(deep, backend, precision), rel=0.01)


PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
from trainer.config import ProxyConfig
from trainer.text.data import PreparedData
from trainer.loop import TrainingRun
from trainer.text.shards import Manifest

def resident(name):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(name))

config = ProxyConfig.model_validate_json(sys.argv[1])
size = config.architecture.vocabulary_size
tokens = np.random.default_rng(0).integers(1, size, 20_000).astype(np.uint16)
manifest = Manifest(corpus_fingerprint="", tokenizer_fingerprint="", split_unit="document", vocabulary_size=size,
                    train_tokens=tokens.size, train_bytes=tokens.size, validation_tokens=1000, validation_bytes=1000,
                    covering_vocabulary=size)
data = PreparedData(manifest, None, Path(), tokens, tokens[:1000], np.ones(size, dtype=np.int64))
before = resident("VmRSS")
run = TrainingRun(config, data, [config.model_copy(update={"seed": seed}) for seed in range(1, int(sys.argv[2]))])
last = list(run.member_results(2))[-1][0]
print(json.dumps([run.peak_memory.bytes() - before, run.execution.memory_estimate.total, last.summary.attributes]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("shape", "precision", "members"),
    [
        pytest.param(
            {"vocabulary_size": 1024, "depth": 12, "width": 128, "ffn_width": 344},
            "bfloat16",
            1,
            marks=pytest.mark.chaos,
        ),
        ({"vocabulary_size": 300, "depth": 4, "width": 256, "ffn_width": 688, "sequence_length": 512}, "float32", 1),
        pytest.param(
            {"vocabulary_size": 16384, "depth": 6, "width": 128, "ffn_width": 344},
            "bfloat16",
            1,
            marks=pytest.mark.chaos,
        ),
        pytest.param(
            {"vocabulary_size": 512, "depth": 2, "width": 512, "ffn_width": 1024}, "float32", 4, marks=pytest.mark.chaos
        ),
    ],
)
def test_the_predicted_peak_is_that_of_a_fresh_process(shape: dict[str, Any], precision: str, members: int) -> None:
    document = {"architecture": shape, "length": {"unit": "tokens", "amount": 40_960}, "precision": precision}
    config = ProxyConfig.model_validate(document)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, config.model_dump_json(), str(members)],
        capture_output=True,
        text=True,
        check=True,
    )
    measured, predicted, attributes = json.loads(done.stdout)
    assert 0.9 * measured <= predicted <= 1.4 * measured
    assert attributes["predicted_memory_bytes"] == predicted
    assert attributes["peak_memory_bytes"] >= measured
    assert attributes["peak_memory_scope"] == "trial"


def test_members_and_forks_take_what_they_hold(config: ProxyConfig) -> None:
    parameters = sum(p.numel() for p in Transformer(config.architecture).parameters())
    one, three = (estimate_memory(config, 256, "sdpa", "float32", "cpu", members) for members in (1, 3))
    assert one.state == 16 * parameters
    assert (three.state, three.activations) == (3 * one.state, 3 * one.activations)
    annealed = config.model_copy(update={"annealed_evaluations": True})
    assert estimate_memory(annealed, 256, "sdpa", "float32", "cpu").state == (16 + 12) * parameters


def test_processes_share_what_is_kept_and_gather_what_is_used() -> None:
    architecture = ArchitectureConfig(vocabulary_size=1000, depth=8, width=512, ffn_width=1376, head_dim=64)
    config = ProxyConfig.model_validate({"architecture": architecture, "length": {"unit": "tokens", "amount": 1e6}})
    one, eight = (
        estimate_memory(config, 4096, "sdpa", "bfloat16", "cuda", processes=processes) for processes in (1, 8)
    )
    parameters = count_parameters(architecture).total
    assert eight.state == 2 * parameters
    assert eight.activations == one.activations
    block = (parameters - 512 * 1001) // 8
    assert eight.casts == 512 * 1001 * 10 + block * 10  # of two blocks, in bfloat16, and a gradient with its cast
    assert eight.total < one.total
    kept = estimate_memory(config, 4096, "sdpa", "bfloat16", "cuda", recomputed=True)
    assert kept.activations == 4096 * (8 * 512 * 4 + 512 * 6)
    assert kept.total < one.total


def test_a_run_that_cannot_fit_is_refused_with_both_figures(
    config: ProxyConfig, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: CPU_LIBRARY_BYTES)
    monkeypatch.setattr(execution, "SingleProgram", lambda *_: pytest.fail("the network was built"))
    with pytest.raises(InvalidInput, match=r"memory: 0\.1\d GiB \(.*\) are predicted, and 0\.11 GiB are available"):
        TrainingRun(config, data)


def test_a_huge_network_is_refused_before_it_is_built(config: ProxyConfig) -> None:
    wide = ArchitectureConfig(vocabulary_size=300, depth=1000, width=65_536, ffn_width=2**18, head_dim=64)
    with pytest.raises(InvalidInput, match="memory: "):
        check_memory(config.model_copy(update={"architecture": wide}), 4096, "sdpa", CPU)


def test_an_allocation_that_fails_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"memory: it ran out: .*you tried to allocate"), named_memory_errors():
        torch.empty(2**60, dtype=torch.uint8)
    said = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79.15 GiB. 1 GiB is free. See the documentation"
    with pytest.raises(InvalidInput, match=r"2\.00 GiB\. GPU 0 has 79\.15 GiB\. 1 GiB is free;"), named_memory_errors():
        raise torch.OutOfMemoryError(said)
    with pytest.raises(RuntimeError, match="shapes"), named_memory_errors():
        raise RuntimeError("shapes cannot be multiplied")


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_peak_of_an_earlier_run_is_forgotten() -> None:
    torch.ones(2**27)
    give_freed_memory_back()
    peak = PeakMemory(CPU)
    assert peak.scope == "trial"
    before = peak.bytes()
    torch.ones(2**25)
    assert before + 2**26 < peak.bytes() < before + 2**28


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_peak_of_a_run_is_that_of_its_own(config: ProxyConfig, data: PreparedData) -> None:
    def peak(width: int) -> int:
        architecture = config.architecture.model_copy(update={"width": width, "kv_heads": width // 16})
        optimization = config.optimization.model_copy(update={"learning_rate": 1e-4})
        changed = config.model_copy(update={"architecture": architecture, "optimization": optimization})
        last = list(TrainingRun(changed, data).results(2))[-1]
        assert last.summary is not None
        return int(last.summary.attributes["peak_memory_bytes"])

    small = peak(32)
    assert peak(1024) > small + 2**26
    assert peak(32) < small + 2**26


def test_where_the_peak_cannot_be_forgotten_it_is_named_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory_use, "_PROCESS", tmp_path / "none")
    peak = PeakMemory(CPU)
    assert peak.scope == "process"
    assert peak.bytes() > 2**26


def group(folder: Path, limit: str, used: int, inactive: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {inactive}\n")


@pytest.mark.parametrize("path", ["/a/b", "/elsewhere/on/the/host"])
def test_limits_of_control_groups_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str) -> None:
    process, groups = tmp_path / "proc", tmp_path / "cgroup"
    process.mkdir()
    (process / "cgroup").write_text(f"3:cpu:/x\n0::{path}\n")
    group(groups, "5000", used=3000, inactive=100)
    group(groups / "a", "2000", used=1500, inactive=200)
    group(groups / "a" / "b", "max", used=100, inactive=0)
    monkeypatch.setattr(memory_use, "_PROCESS", process)
    monkeypatch.setattr(memory_use, "_CGROUPS", groups)
    assert available_bytes(CPU) == (700 if path == "/a/b" else 2100)


def test_a_control_group_of_version_1_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("4:memory:/a\n")
    folder = tmp_path / "memory" / "a"
    folder.mkdir(parents=True)
    for name, content in {"memory.limit_in_bytes": "900", "memory.usage_in_bytes": "500"}.items():
        (folder / name).write_text(content)
    (folder / "memory.stat").write_text("cache 7\ntotal_inactive_file 50\n")
    monkeypatch.setattr(memory_use, "_PROCESS", tmp_path)
    monkeypatch.setattr(memory_use, "_CGROUPS", tmp_path)
    assert available_bytes(CPU) == 450


def test_without_limits_the_system_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory_use, "_PROCESS", tmp_path)
    monkeypatch.setattr(memory_use.psutil, "virtual_memory", lambda: SimpleNamespace(available=4321))
    assert available_bytes(CPU) == 4321


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_the_share_of_the_process_counts() -> None:
    device = torch.device("cuda")
    whole = available_bytes(device)
    torch.cuda.set_per_process_memory_fraction(0.25)
    assert available_bytes(device) <= whole / 2
    torch.cuda.set_per_process_memory_fraction(1.0)
