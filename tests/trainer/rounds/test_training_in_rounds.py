import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from trainer.config import ProxyConfig
from trainer.errors import TrainingDiverged
from trainer.loop import TrainingRun
from trainer.results import StepResult
from trainer.rounds.batches import RoundBatches
from trainer.rounds.config import RoundsConfig
from trainer.text.data import Batches, PreparedData
from trainer.text.feeder import Feeder

Change = Callable[..., ProxyConfig]
STEPS, FIRST, LATER = 12, 6, 3
"""Three rounds at half of the first one, of 256 tokens a step."""


@pytest.fixture
def in_rounds(config: ProxyConfig) -> Change:
    def change(seed: int = 0, **fields: Any) -> ProxyConfig:
        rounds = RoundsConfig.model_validate({"rounds": 3, "parts": 2, **fields})
        return config.model_copy(update={"multiple_rounds": rounds, "seed": seed, "evaluations": 4})

    return change


def losses(results: list[StepResult]) -> list[float]:
    return [result.train_loss for result in results]


def orders(run: TrainingRun, member: int = 0) -> list[list[int]]:
    batches = run.members[member].batches
    assert isinstance(batches, RoundBatches)
    return [batches.orders[number].tolist() for number in sorted(batches.orders)]


def attributes(results: list[StepResult]) -> dict[str, Any]:
    assert results[-1].summary is not None
    return dict(results[-1].summary.attributes)


def test_later_rounds_train_on_batches_of_the_first_one(
    in_rounds: Change, config: ProxyConfig, data: PreparedData
) -> None:
    run = TrainingRun(in_rounds(), data)
    results = list(run.results())
    plain = list(TrainingRun(config, data).results())
    assert losses(results)[:FIRST] == losses(plain)[:FIRST]  # the schedule is the whole run's
    assert [result.learning_rate for result in results] == [result.learning_rate for result in plain]
    assert losses(results)[FIRST:] != losses(plain)[FIRST:]
    seen, base = run.members[0].batches, Batches(data.train, 32, 256, 0)
    for step, place in enumerate([*range(FIRST), *orders(run)[0], *orders(run)[1]], start=1):
        assert np.array_equal(seen.batch(step), base.batch(place + 1))
    again = list(TrainingRun(in_rounds(), data).results())
    assert losses(again) == losses(results)
    found = attributes(results)
    assert found["unique_tokens"] == FIRST * 256
    assert found["repeated_tokens"] == 2 * LATER * 256
    assert {name: found[name] for name in ("rounds", "parts", "sampling_rate", "round_selection", "round_losses")} == {
        "rounds": 3,
        "parts": 2,
        "sampling_rate": 0.5,
        "round_selection": "loss",
        "round_losses": "during",
    }
    assert (found["first_round_steps"], found["later_round_steps"]) == (FIRST, LATER)
    assert attributes(plain)["rounds"] == 1
    summary, other = results[-1].summary, plain[-1].summary
    assert summary is not None
    assert other is not None
    assert summary.metrics["train_tokens"] == other.metrics["train_tokens"] == STEPS * 256
    assert summary.attributes["spent_flops"] == other.attributes["spent_flops"]


def test_the_latest_loss_of_each_batch_is_recorded(in_rounds: Change, data: PreparedData) -> None:
    run = TrainingRun(in_rounds(selection="top_loss"), data)
    found = losses(list(run.results()))
    assert run.rounds is not None
    assert run.rounds.record is not None
    run.rounds.read(STEPS)
    expected = np.array(found[:FIRST], dtype=np.float32)
    second, third = orders(run)
    for low, high, taken in ((0, 3, 1), (3, 6, 2)):
        highest = (low + np.argsort(-expected[low:high])[:taken]).tolist()
        assert sorted(place for place in second if low <= place < high) == sorted(highest)
    expected[second] = found[FIRST : FIRST + LATER]
    assert sorted(third) == sorted([int(np.argmax(expected[:3])), *(3 + np.argsort(-expected[3:])[:2]).tolist()])
    expected[third] = found[FIRST + LATER :]
    assert np.array_equal(run.rounds.record.losses[0], expected)


def test_losses_at_the_end_are_those_of_the_frozen_network(in_rounds: Change, data: PreparedData) -> None:
    run = TrainingRun(in_rounds(losses="end", rounds=2, parts=4), data)
    results = run.results()
    first = 8
    for _ in range(first - 1):
        next(results)
    before = run.progress.evaluation_seconds
    next(results)
    assert first not in run.plan.evaluation_steps
    assert run.progress.evaluation_seconds > before
    network, base = run.single.network, Batches(data.train, 32, 256, 0)
    tokens = [torch.from_numpy(base.batch(step)) for step in range(1, first + 1)]
    with torch.no_grad():
        expected = [cross_entropy(network(each[:, :-1]).flatten(0, 1), each[:, 1:].flatten()).item() for each in tokens]
    assert run.rounds is not None
    assert run.rounds.record is not None
    assert run.rounds.record.losses[0] == pytest.approx(expected, rel=1e-5)
    rest = list(results)
    found = attributes(rest)
    assert found["round_loss_tokens"] == first * 256
    assert found["spent_flops"] == pytest.approx((STEPS + first / 3) * 256 * found["training_flops_per_token"])


def test_what_nobody_reads_is_not_recorded(in_rounds: Change, data: PreparedData) -> None:
    for selection, when in product(("uniform", "fresh"), ("during", "end")):
        run = TrainingRun(in_rounds(selection=selection, losses=when), data)
        assert run.rounds is None or run.rounds.record is None
        assert "round_losses" not in attributes(list(run.results(7)))


def test_fresh_rounds_read_on_and_say_where_the_corpus_ends(
    in_rounds: Change, config: ProxyConfig, data: PreparedData
) -> None:
    fresh = list(TrainingRun(in_rounds(selection="fresh", forgetting=False), data).results())
    assert losses(fresh) == losses(list(TrainingRun(config, data).results()))
    assert attributes(fresh)["later_rounds_fresh"] is True
    assert attributes(fresh)["unique_tokens"] == STEPS * 256
    short = PreparedData(**{**vars(data), "train": data.train[: 10 * 256 + 1]})
    repeated = attributes(list(TrainingRun(in_rounds(selection="fresh"), short).results()))
    assert repeated["later_rounds_fresh"] is False
    assert (repeated["unique_tokens"], repeated["repeated_tokens"]) == (10 * 256, 2 * 256)


def test_a_batch_is_fetched_ahead_only_when_it_has_been_chosen(in_rounds: Change, data: PreparedData) -> None:
    expected = losses(list(TrainingRun(in_rounds(), data).results()))
    run = TrainingRun(in_rounds(), data)
    run.feeder = Feeder([run.members[0].batches], data.token_bytes, run.device, ahead=True)
    assert losses(list(run.results())) == expected
    batches = run.members[0].batches
    assert batches.is_known(STEPS)
    assert not batches.is_known(STEPS + 1)


@pytest.mark.parametrize("when", ["during", "end"])
def test_members_of_a_stack_have_losses_and_choices_of_their_own(
    in_rounds: Change, data: PreparedData, when: str
) -> None:
    configs = [in_rounds(seed, losses=when) for seed in (0, 5)]
    stack = TrainingRun(configs[0], data, configs[1:])
    stacked = list(stack.member_results())
    assert orders(stack, 0) != orders(stack, 1)
    for member, own in enumerate(configs):
        run = TrainingRun(own, data)
        alone = list(run.results())
        assert orders(stack, member) == orders(run)
        found = [each for results in stacked if isinstance(each := results[member], StepResult)]
        assert losses(found) == pytest.approx(losses(alone), rel=1e-4)
        assert stack.rounds is not None
        assert run.rounds is not None
        assert stack.rounds.record is not None
        assert run.rounds.record is not None
        assert stack.rounds.record.losses[member] == pytest.approx(run.rounds.record.losses[0], rel=1e-4)
        for together, single in zip(found, alone, strict=True):
            if single.evaluation is not None:
                assert together.evaluation is not None
                assert together.evaluation.part_losses == pytest.approx(single.evaluation.part_losses, rel=1e-4)


def test_the_loss_on_each_part_that_has_ended_is_measured(in_rounds: Change, data: PreparedData) -> None:
    run = TrainingRun(in_rounds(), data)
    results = list(run.results())
    evaluated = {result.step: result.evaluation.part_losses for result in results if result.evaluation is not None}
    assert {step: sorted(found) for step, found in evaluated.items()} == {3: [1], 6: [1, 2], 9: [1, 2], 12: [1, 2]}
    assert evaluated[3][1] > evaluated[12][1]
    for part, loss in evaluated[12].items():  # a part has 24 sequences, fewer than a sample may have
        batches = np.concatenate([run.members[0].batches.batch(step) for step in range(3 * part - 2, 3 * part + 1)])
        tokens = torch.from_numpy(batches)
        with torch.no_grad():
            expected = cross_entropy(run.single.network(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_forgetting_is_measured_where_it_is_asked_for(in_rounds: Change, data: PreparedData) -> None:
    for fields, measured in (({"rounds": 1, "forgetting": True}, 2), ({"rounds": 1}, 0), ({"forgetting": False}, 0)):
        last = list(TrainingRun(in_rounds(**fields), data).results())[-1]
        assert last.evaluation is not None
        assert len(last.evaluation.part_losses) == measured


def test_a_member_that_diverges_leaves_the_choices_of_the_others_alone(in_rounds: Change, data: PreparedData) -> None:
    healthy = in_rounds(5, parts=1)
    stack = TrainingRun(in_rounds(parts=1), data, [healthy])
    with torch.no_grad():
        stack.program.parameters["embedding.weight"][0] = math.nan  # type: ignore[attr-defined]
    results = list(stack.member_results())
    assert isinstance(results[0][0], TrainingDiverged)
    assert sorted(results[-1]) == [1]
    alone = TrainingRun(healthy, data)
    list(alone.results())
    assert orders(stack, 1) == orders(alone)


def test_no_round_is_chosen_for_a_run_that_diverges_where_one_ends(in_rounds: Change, data: PreparedData) -> None:
    run = TrainingRun(in_rounds(losses="end"), data)
    results = run.results()
    for _ in range(FIRST - 1):
        next(results)
    with torch.no_grad():
        run.single.network.head_vd[0] = math.nan
    with pytest.raises(TrainingDiverged):
        next(results)
    assert orders(run) == []


def test_a_gpu_reads_the_loss_where_a_round_ends(in_rounds: Change, data: PreparedData) -> None:
    run = TrainingRun(in_rounds(), data)
    run.device = torch.device("cuda")
    assert [step for step in range(1, STEPS + 1) if run._is_read(step)] == [1, FIRST, FIRST + LATER, 11]
