"""One process of several that train together: `one_of_many.py RANK SIZE FOLDER` plays what `FOLDER/scenes.json` lists.

What each scene gave, losses or an error, is written to ``FOLDER/RANK.json``.
"""

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist

from model.errors import FormularyError, InvalidInput
from trainer.checkpoints import rows
from trainer.machine.memory import check_memory
from trainer.parallel.world import current_world
from trainer.pretrain import pretrain


@contextmanager
def _full_disk() -> Iterator[None]:
    with mock.patch.object(rows, "save_file", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))):
        yield


@contextmanager
def _little_memory() -> Iterator[None]:
    """Room for no activations but those between blocks."""

    def check(*arguments: Any, recomputed: bool = False, **further: Any) -> Any:
        if not recomputed:
            raise InvalidInput("memory", "there is little", "recompute")
        return check_memory(*arguments, recomputed=True, **further)

    with mock.patch("trainer.execution.check_memory", check):
        yield


CIRCUMSTANCES = {"full disk": _full_disk, "little memory": _little_memory}


def play(scene: dict[str, Any], rank: int) -> dict[str, Any]:
    world = current_world()
    folder = Path(scene["folder"])
    if scene.get("missing in") == rank:
        folder = folder / "missing"
    setups: list[Any] = []
    results = pretrain(
        folder, Path(scene["storage"]), [Path(scene["root"])], scene.get("max_steps"), world, setups.append
    )
    told: dict[str, Any] = {"losses": [], "evaluations": [], "kl": [], "part losses": []}
    try:
        for result in results:
            told["losses"].append([result.step, result.train_loss])
            told["kl"].append(result.kl)
            if result.evaluation is not None:
                told["evaluations"].append([result.step, result.evaluation.bits_per_byte])
                told["part losses"] += [[result.step, loss] for loss in result.evaluation.part_losses.values()]
            if result.summary is not None:
                told["attributes"] = dict(result.summary.attributes)
    except FormularyError as error:
        told["error"] = [type(error).__name__, str(error)]
    told["setup"] = setups[0].sentence() if setups else None
    return told


def main() -> None:
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    told = {}
    for scene in json.loads((folder / "scenes.json").read_text()):
        circumstance = scene.get("circumstance")
        if circumstance is None or scene.get("only in", rank) != rank:
            told[scene["name"]] = play(scene, rank)
        else:
            with CIRCUMSTANCES[circumstance]():
                told[scene["name"]] = play(scene, rank)
    (folder / f"{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
