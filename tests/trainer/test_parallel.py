"""Several processes train as one does. They play all scenes in one go, because each start of them costs seconds."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.hf import write_hf_folder
from model.initialization import initialize
from model.transformer import Transformer
from trainer.checkpoints.rounds import ROUNDS_FILE
from trainer.checkpoints.state import latest_checkpoint
from trainer.config import JsonlCorpus, OptimizationConfig, ProxyConfig
from trainer.parallel.messages import OtherFailed, as_error, as_text
from trainer.parallel.world import World
from trainer.plan import check_share
from trainer.pretrain import pretrain
from trainer.text.data import PreparedData

PROCESSES = 2
STEPS = 12
ROUNDING = 2e-5
"""Sums in another order (measured: 2e-7 over 40 steps)."""

Scenes = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def fields(corpus: JsonlCorpus) -> dict[str, Any]:
    """301 rows of embeddings and 43 of gates: no process has as many as the others."""
    architecture = ArchitectureConfig(
        vocabulary_size=300,
        depth=2,
        width=32,
        ffn_width=43,
        head_dim=16,
        kv_heads=1,
        sequence_length=32,
        tied_head=False,
    )
    config = ProxyConfig.model_validate(
        {
            "architecture": architecture,
            "optimization": OptimizationConfig(learning_rate=1e-2, batch_tokens=256),
            "corpus": corpus,
            "length": {"unit": "tokens", "amount": STEPS * 256},
            "precision": "float32",
            "evaluations": 3,
            "validation_bytes": 10_000,
            "micro_batch_tokens": 64,
        }
    )
    return {**config.model_dump(mode="json"), "checkpoint_every_steps": 4}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parallel")


@pytest.fixture(scope="module")
def export(place: Path, data: PreparedData, fields: dict[str, Any]) -> Callable[..., Path]:
    def write(name: str, **changes: Any) -> Path:
        folder = place / name
        folder.mkdir()
        shutil.copy(data.tokenizer_path, folder / "tokenizer.json")
        document = {"version": 1, "pretrain": {**fields, **changes}, "recipe": []}
        (folder / "formulary.json").write_text(json.dumps(document))
        return folder

    return write


@pytest.fixture(scope="module")
def one(storage: Path, corpus: JsonlCorpus) -> Callable[..., dict[str, Any]]:
    """What a run on one process gives."""

    def run(folder: Path, max_steps: int | None = None) -> dict[str, Any]:
        results = list(pretrain(folder, storage, [Path(corpus.path).parent], max_steps))
        evaluated = [[r.step, r.evaluation.bits_per_byte] for r in results if r.evaluation is not None]
        parts = [
            [r.step, loss] for r in results if r.evaluation is not None for loss in r.evaluation.part_losses.values()
        ]
        losses = [[r.step, r.train_loss] for r in results]
        return {"losses": losses, "evaluations": evaluated, "kl": [r.kl for r in results], "part losses": parts}

    return run


ROUNDS = {"rounds": 2, "parts": 2}
"""Of 8 and then 4 steps."""
WSD = {"schedule": "wsd", "learning_rate": 1e-2, "batch_tokens": 256}


@pytest.fixture(scope="module")
def distillation(storage: Path, data: PreparedData, fields: dict[str, Any]) -> dict[str, Any]:
    """A teacher of another shape, among the kept weights where a full run looks for it."""
    architecture = ArchitectureConfig.model_validate({**fields["architecture"], "width": 48, "kv_heads": 3, "depth": 1})
    network = Transformer(architecture)
    initialize(network, "constant", 0.2, 3)
    folder = storage / "weights" / "teacher"
    write_hf_folder(network, data.tokenizer, folder)
    return {"teacher": str(folder), "weight": 0.5}


@pytest.fixture(scope="module")
def scenes(
    place: Path,
    storage: Path,
    corpus: JsonlCorpus,
    export: Callable[..., Path],
    one: Callable[..., dict[str, Any]],
    distillation: dict[str, Any],
) -> Scenes:
    """What each process of two told of each scene."""
    begun = export("begun by one")
    one(begun, 5)
    rounds_begun = export("rounds begun by one", multiple_rounds=ROUNDS)
    one(rounds_begun, 5)
    listed: list[dict[str, Any]] = [
        {"name": "whole", "folder": export("whole")},
        {"name": "begun by one", "folder": begun, "max_steps": 9},
        {"name": "rounds", "folder": export("rounds", multiple_rounds=ROUNDS)},
        {"name": "rounds begun by one", "folder": rounds_begun, "max_steps": 9},
        {"name": "rounds at their end", "folder": export("at end", multiple_rounds={**ROUNDS, "losses": "end"})},
        {"name": "bfloat16", "folder": export("bfloat16", precision="bfloat16")},
        {"name": "annealed", "folder": export("annealed", optimization=WSD, annealed_evaluations=True)},
        {"name": "distilled", "folder": export("distilled", distillation=distillation), "max_steps": 3},
        {"name": "recomputed", "folder": export("recomputed"), "max_steps": 3, "circumstance": "little memory"},
        {"name": "missing", "folder": export("missing in one"), "missing in": 1},
        {"name": "full disk", "folder": export("full disk"), "circumstance": "full disk", "only in": 1},
        {"name": "uneven", "folder": export("uneven", optimization={"batch_tokens": 288})},
    ]
    common = {"storage": str(storage), "root": str(Path(corpus.path).parent)}
    (place / "scenes.json").write_text(
        json.dumps([{**scene, "folder": str(scene["folder"]), **common} for scene in listed])
    )
    program = Path(__file__).with_name("one_of_many.py")
    commands = [[sys.executable, str(program), str(rank), str(PROCESSES), str(place)] for rank in range(PROCESSES)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [process.communicate()[1] for process in processes]
    assert all(process.returncode == 0 for process in processes), "\n".join(errors)
    told = [json.loads((place / f"{rank}.json").read_text()) for rank in range(PROCESSES)]
    return {name: [each[name] for each in told] for name in told[0]}


@pytest.fixture(scope="module")
def whole(export: Callable[..., Path], one: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return one(export("whole by one"))


def close(found: list[list[float]], expected: list[list[float]], rel: float = ROUNDING) -> bool:
    assert [step for step, _ in found] == [step for step, _ in expected]
    return [value for _, value in found] == pytest.approx([value for _, value in expected], rel=rel)


def test_two_processes_give_the_losses_of_one(scenes: Scenes, whole: dict[str, Any]) -> None:
    first, second = scenes["whole"]
    assert first["losses"] == second["losses"]
    assert len(first["losses"]) == STEPS
    assert close(first["losses"], whole["losses"])
    assert close(first["evaluations"], whole["evaluations"])
    assert first["setup"].startswith("2 processes (gloo) on cpu: float32")
    assert (first["attributes"]["processes"], first["attributes"]["process_group"]) == (2, "gloo")


def test_a_run_goes_on_with_another_number_of_processes(
    scenes: Scenes, whole: dict[str, Any], place: Path, one: Callable[..., dict[str, Any]]
) -> None:
    two = scenes["begun by one"][0]
    rest = one(place / "begun by one")
    assert close(two["losses"], whole["losses"][5:9])
    assert close(rest["losses"], whole["losses"][9:])
    assert close(rest["evaluations"], whole["evaluations"][-1:])


def rounds_of(folder: Path) -> dict[str, Any]:
    found = latest_checkpoint(folder / "checkpoints")
    assert found is not None
    return load_file(found[0] / ROUNDS_FILE)


@pytest.mark.parametrize(
    ("scene", "folder", "when"), [("rounds", "rounds", "during"), ("rounds at their end", "at end", "end")]
)
def test_two_processes_record_and_choose_as_one_does(
    scenes: Scenes,
    place: Path,
    export: Callable[..., Path],
    one: Callable[..., dict[str, Any]],
    scene: str,
    folder: str,
    when: str,
) -> None:
    alone = one(export(f"{scene} by one", multiple_rounds={**ROUNDS, "losses": when}))
    first, second = scenes[scene]
    assert first["losses"] == second["losses"]
    assert first["part losses"] == second["part losses"]
    assert close(first["losses"], alone["losses"])
    assert close(first["part losses"], alone["part losses"])
    two_s, one_s = rounds_of(place / folder), rounds_of(place / f"{scene} by one")
    assert two_s["orders"].tolist() == one_s["orders"].tolist()
    assert two_s["losses"].tolist() == pytest.approx(one_s["losses"].tolist(), rel=ROUNDING)


def test_rounds_go_on_with_another_number_of_processes(
    scenes: Scenes, place: Path, export: Callable[..., Path], one: Callable[..., dict[str, Any]]
) -> None:
    alone = one(export("rounds by one alone", multiple_rounds=ROUNDS))
    two = scenes["rounds begun by one"][0]
    assert close(two["losses"], alone["losses"][5:9])
    assert close(one(place / "rounds begun by one")["losses"], alone["losses"][9:])
    choices = [rounds_of(place / name)["orders"].tolist() for name in ("rounds begun by one", "rounds by one alone")]
    assert choices[0] == choices[1]


def test_each_process_writes_its_rows(scenes: Scenes, place: Path) -> None:
    found = latest_checkpoint(place / "whole" / "checkpoints")
    assert found is not None
    assert (found[1].step, found[1].shards) == (STEPS, 2)
    assert {path.name for path in found[0].iterdir()} == {
        "state.json",
        *(f"{kind}-0000{number}-of-00002.safetensors" for kind in ("model", "optimizer") for number in (1, 2)),
    }


def test_bfloat16_products_give_nearly_the_same(
    scenes: Scenes, export: Callable[..., Path], one: Callable[..., dict[str, Any]]
) -> None:
    alone = one(export("bfloat16 by one", precision="bfloat16"))
    assert close(scenes["bfloat16"][0]["losses"], alone["losses"], rel=5e-3)  # gains are rounded as well
    assert close(scenes["bfloat16"][0]["evaluations"], alone["evaluations"], rel=5e-3)


def test_annealed_evaluations_leave_the_trunk_alone(
    scenes: Scenes, export: Callable[..., Path], one: Callable[..., dict[str, Any]]
) -> None:
    alone = one(export("annealed by one", optimization=WSD, annealed_evaluations=True))
    assert close(scenes["annealed"][0]["losses"], alone["losses"])
    assert close(scenes["annealed"][0]["evaluations"], alone["evaluations"])


def test_each_process_asks_its_whole_teacher(
    scenes: Scenes, export: Callable[..., Path], one: Callable[..., dict[str, Any]], distillation: dict[str, Any]
) -> None:
    alone = one(export("distilled by one", distillation=distillation), 3)
    assert close(scenes["distilled"][0]["losses"], alone["losses"])
    assert scenes["distilled"][0]["kl"] == pytest.approx(alone["kl"], rel=ROUNDING)
    assert close(scenes["distilled"][0]["evaluations"], alone["evaluations"])


def test_recomputed_blocks_give_the_same_losses(scenes: Scenes, whole: dict[str, Any]) -> None:
    recomputed = scenes["recomputed"][0]
    assert "blocks recomputed" in recomputed["setup"]
    assert recomputed["attributes"]["recomputed"] is True
    assert close(recomputed["losses"], whole["losses"][:3])


def test_all_processes_fail_where_one_does(scenes: Scenes, place: Path) -> None:
    kinds = [told["error"][0] for told in scenes["missing"]]
    assert kinds == ["InvalidInput", "InvalidInput"]
    assert all("cannot be read" in told["error"][1] for told in scenes["missing"])
    assert [told["error"][0] for told in scenes["full disk"]] == ["OtherFailed", "WriteFailed"]
    assert all("No space left on device" in told["error"][1] for told in scenes["full disk"])
    assert [path.name for path in (place / "full disk" / "checkpoints").iterdir()] == [".lock"]


def test_a_batch_that_cannot_be_shared_is_refused(scenes: Scenes, config: ProxyConfig) -> None:
    said = (
        "batch_tokens: 288 tokens are 9 sequences of 32, which 2 processes cannot share evenly; give a multiple of 64"
    )
    assert all(told["error"] == ["InvalidInput", f"{said}, or use 1 processes"] for told in scenes["uneven"])
    check_share(config, 8)
    with pytest.raises(InvalidInput, match="use 4 processes"):
        check_share(config, 6)


def test_errors_travel_as_text() -> None:
    for error in (InvalidInput("a", "b", "c"), OtherFailed("d")):
        again = as_error(as_text(error))
        assert (type(again), str(again)) == (type(error), str(error))
    assert str(as_error(as_text(ValueError("x")))) == "ValueError: x"
    assert isinstance(as_error('{"kind": "inp'), OtherFailed)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_rows_follow_one_another(count: int, size: int) -> None:
    import torch

    rows = [World(rank, size, torch.device("cpu"), "gloo").rows(count) for rank in range(size)]
    assert [number for each in rows for number in range(count)[each]] == list(range(count))
    chunks = torch.arange(count).chunk(size)
    assert [each.stop - each.start for each in rows[: len(chunks)]] == [len(chunk) for chunk in chunks]
