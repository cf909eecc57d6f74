"""Train the surface of ``benchmarks.surface`` and keep every run; started again, it goes on where it ended.

Run ``python -m benchmarks.record_surface``: 144 runs of about ten seconds on one core.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.surface import FURTHER_SEEDS, RECORDS, REPEATED, SETTINGS, Record, records, surface_space
from search.events import Value
from search.proxy import proxy_config
from search.space import Space
from trainer.config import ProxyConfig
from trainer.errors import TrainingDiverged
from trainer.loop import TrainingRun
from trainer.plan import RunPlan
from trainer.text.data import PreparedData, prepare

Key = tuple[tuple[str, Value], ...]


def main() -> None:
    """Train what is not recorded yet, in an order that leaves a random subset whenever it is interrupted."""
    space = surface_space()
    done = {_key(record["parameters"], record["seed"]) for record in records()}
    with tempfile.TemporaryDirectory() as folder:
        data = _data(_config(space, space.grid_point(0).values, 0), Path(folder))
        for values, seed in _runs(space):
            if _key(values, seed) not in done:
                record = _train(space, values, seed, data)
                print(record, flush=True)
                with RECORDS.open("a") as file:
                    file.write(json.dumps(record) + "\n")


def _runs(space: Space) -> Iterator[tuple[Mapping[str, Value], int]]:
    for index in np.random.default_rng(0).permutation(space.grid_size()).tolist():
        yield {name: space.grid_point(index).values[name] for name in space.names}, 0
    for values in REPEATED:
        for seed in FURTHER_SEEDS:
            yield values, seed


def _key(values: Mapping[str, Value], seed: int) -> Key:
    return tuple(sorted({**values, "seed": seed}.items()))


def _data(config: ProxyConfig, folder: Path) -> PreparedData:
    return prepare(config.corpus, config.architecture.vocabulary_size, config.validation_bytes, folder)


def _config(space: Space, values: Mapping[str, Value], seed: int) -> ProxyConfig:
    point = space.point(space.unit(values))
    return proxy_config(SETTINGS, {**point.values, "seed": seed}, point.attributes, threads=1)


def _train(space: Space, values: Mapping[str, Value], seed: int, data: PreparedData) -> Record:
    """One run: bits per byte at each evaluation, and the tokens trained on until then, forks counted."""
    config = _config(space, values, seed)
    run = TrainingRun(config, data)
    bits: list[float] = []
    diverged = False
    try:
        for result in run.results():
            if result.evaluation:
                bits.append(result.evaluation.bits_per_byte)
    except TrainingDiverged:
        diverged = True
    return {
        "parameters": dict(values),
        "seed": seed,
        "width": config.architecture.width,
        "bits_per_byte": [round(value, 5) for value in bits],
        "tokens": tokens_spent(run.plan, config.optimization.batch_tokens),
        "diverged": diverged,
    }


def tokens_spent(plan: RunPlan, batch_tokens: int) -> list[int]:
    """Tokens trained on when each evaluation is known: the trunk until its fork, and all forks so far."""
    spent, forked = [], 0
    for start, end in sorted(plan.forks.items()):
        forked += end - start
        spent.append((start + forked) * batch_tokens)
    return [*spent, (plan.steps + forked) * batch_tokens]


if __name__ == "__main__":
    main()
