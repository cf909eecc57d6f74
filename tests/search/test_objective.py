"""The real objective: proxies trained through the trainer's interface, alone and as one program."""

import random
from dataclasses import replace

import pytest
import torch

from model.errors import InvalidInput
from search.constraints import Constraints, TotalParameters
from search.events import TrialFailed, TrialInfeasible
from search.objective import train_proxies
from search.parameters import METRIC_NAMES, FloatParameter
from search.problem import Report, TrialImpossible, TrialRequest
from search.proxy import proxy_config, training_length
from search.space import Space
from tests.large_tokenizers import WRITERS
from trainer.config import CompressedTokenizer, ProxySettings, TextCorpus, TrialSettings
from trainer.inheritance.config import InheritanceConfig
from trainer.proxies import train_stack


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def request_of(tmp_path):
    chance = random.Random(0)
    lexicon = ["".join(chance.choices("abcdefghijklmnop", k=chance.randint(2, 7))) for _ in range(200)]
    words = chance.choices(lexicon, k=60_000)
    lines = [" ".join(words[start : start + 12]) for start in range(0, len(words), 12)]
    (tmp_path / "text.txt").write_text("\n".join(lines))

    def make(learning_rate=1e-3, **settings):
        proxy = ProxySettings(
            corpus=TextCorpus(kind="text", path=str(tmp_path / "text.txt")),
            **{
                "train_tokens": 4096,
                "sequence_length": 64,
                "batch_tokens": 512,
                "vocabulary_size": 300,
                "depth": 1,
                "head_dim": 16,
                "evaluations": 2,
                "validation_bytes": 4000,
                **settings,
            },
        )
        rates = FloatParameter(type="float", low=1e-5, high=10.0)
        budget = Constraints(total_parameters=TotalParameters(target=20_000))
        space = Space.build({"learning_rate": rates}, {}, budget, proxy)
        point = space.trial(space.point(space.unit({"learning_rate": learning_rate})).values, 0)
        return TrialRequest(0, point.values, point.attributes, proxy, tmp_path / "storage", threads=1)

    return make


def outcomes_of(steps, number):
    """What one trial told."""
    return [outcome for step in steps for outcome in step if outcome.number == number]


def test_a_proxy_reports_at_its_evaluations_and_sums_up_at_the_end(request_of):
    request = request_of()
    reports = outcomes_of(train_proxies([request]), 0)
    assert [report.step for report in reports] == [4, 8]
    assert [report.finished for report in reports] == [False, True]
    assert all(set(report.values) == {"bits_per_byte", "validation_loss"} for report in reports)
    last = reports[-1]
    assert set(last.metrics) <= METRIC_NAMES
    assert last.metrics["bits_per_byte"] == last.values["bits_per_byte"]
    assert last.metrics["total_parameters"] == request.attributes["total_parameters"]
    assert last.attributes["threads"] == 1
    assert [[step for step, _ in report.losses] for report in reports] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert all(0 < loss < 7 for report in reports for _, loss in report.losses)


def test_memory_that_runs_out_makes_the_trial_impossible(request_of, monkeypatch):
    def run_out(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB. Of it 0 is free")

    monkeypatch.setattr("search.objective.train_stack", run_out)
    with pytest.raises(TrialImpossible, match=r"memory: it ran out: .* 2\.00 GiB\. GPU 0 has 1 GiB\. Of it 0 is free;"):
        list(train_proxies([request_of()]))


def test_a_trial_that_cannot_fit_is_impossible_with_both_figures(request_of, monkeypatch):
    monkeypatch.setattr("trainer.machine.memory.available_bytes", lambda _: 2**26)
    with pytest.raises(TrialImpossible, match=r"memory: 0\.\d\d GiB .* are predicted, and 0\.06 GiB are available"):
        list(train_proxies([request_of()]))


def test_a_run_that_diverges_says_so(request_of):
    request = request_of(learning_rate=10.0, precision="float32", train_tokens=16_384)
    (failed,) = outcomes_of(train_proxies([request]), 0)
    assert isinstance(failed, TrialFailed)
    assert "diverged" in failed.reason


@pytest.mark.parametrize(
    "shared",
    [
        {"mask_documents": True},
        pytest.param({}, marks=pytest.mark.chaos),
        pytest.param({"init_scheme": "mup", "mup_base_width": 16}, marks=pytest.mark.chaos),
    ],
)
def test_the_trials_of_a_stack_tell_what_each_tells_alone(request_of, shared):
    first = request_of(learning_rate=2e-3, precision="float32", train_tokens=8192, **shared)
    changes = [{}, {"seed": 1}, {"learning_rate": 10.0}, {"learning_rate": 1e-3, "weight_decay": 0.3, "init_std": 0.05}]
    requests = [
        replace(first, number=10 + index, parameters={**first.parameters, **change})
        for index, change in enumerate(changes)
    ]
    together = list(train_proxies(requests))
    for request in requests:
        stacked, alone = (outcomes_of(run, request.number) for run in (together, train_proxies([request])))
        assert [type(outcome) for outcome in stacked] == [type(outcome) for outcome in alone]
        for ours, theirs in zip(stacked, alone, strict=True):
            if isinstance(ours, TrialFailed):  # its last loss is chaos
                continue
            assert (ours.step, ours.finished) == (theirs.step, theirs.finished)
            assert ours.values == pytest.approx(theirs.values, rel=1e-4)
            assert [step for step, _ in ours.losses] == [step for step, _ in theirs.losses]
            told = {name: value for name, value in theirs.metrics.items() if not name.endswith("_per_second")}
            assert {name: ours.metrics[name] for name in told} == pytest.approx(told, rel=1e-4)
    assert isinstance(outcomes_of(together, 12)[-1], TrialFailed)
    assert len({outcomes_of(together, number)[-1].values["bits_per_byte"] for number in (10, 11, 13)}) == 3


@pytest.mark.parametrize(("fitting", "together"), [(4, [3, 3, 3, 2, 2]), (1, [1] * 5), (0, None)])
def test_a_stack_that_the_memory_does_not_hold_is_trained_in_parts(request_of, monkeypatch, fitting, together):
    first = request_of()
    requests = [replace(first, number=number, parameters={**first.parameters, "seed": number}) for number in range(5)]

    def limited(configs, storage):
        if len(configs) > fitting:
            raise InvalidInput("memory", f"{len(configs)} networks do not fit", "train fewer")
        return train_stack(configs, storage)

    monkeypatch.setattr("search.objective.train_stack", limited)
    if together is None:
        with pytest.raises(TrialImpossible, match="1 networks do not fit"):
            list(train_proxies(requests))
        return
    told = list(train_proxies(requests))
    last = [outcomes_of(told, number)[-1] for number in range(5)]
    assert all(report.finished for report in last)
    assert [report.attributes["stack"] for report in last] == together


@pytest.mark.parametrize("settings", [{"vocabulary_size": 60_000}, {"validation_bytes": 10**8}])
def test_what_the_corpus_does_not_allow_is_impossible(request_of, settings):
    request = request_of()
    impossible = request.settings.model_copy(update=settings)
    with pytest.raises(TrialImpossible):
        list(train_proxies([replace(request, settings=impossible), replace(request, number=1, settings=impossible)]))


@pytest.mark.parametrize("lengths", [{}, {"train_tokens": 1, "train_bytes": 1}])
def test_a_run_has_one_length(lengths):
    with pytest.raises(InvalidInput):
        training_length(ProxySettings(**lengths))


def test_masking_reaches_the_run(request_of):
    *_, last = outcomes_of(train_proxies([request_of(mask_documents=True)]), 0)
    assert last.attributes["mask_documents"] is True


def test_a_trial_with_a_compressed_tokenizer_says_so(request_of, tmp_path):
    path = WRITERS["SentencePiece"](tmp_path)
    request = request_of(tokenizer=CompressedTokenizer(kind="compressed", path=str(path)))
    *_, last = outcomes_of(train_proxies([request]), 0)
    assert last.attributes["tokenizer_kind"] == "compressed"
    assert 0 < last.attributes["tokenizer_coverage"] < 1
    *_, trained = outcomes_of(train_proxies([request_of()]), 0)
    assert trained.attributes["tokenizer_kind"] == "trained"
    assert trained.metrics["bits_per_byte"] != last.metrics["bits_per_byte"]


def test_a_member_that_cannot_inherit_does_not_take_the_others_along(request_of, monkeypatch):
    first = request_of()
    parent = InheritanceConfig(parent="/nowhere", neurons="l1")
    settings = TrialSettings(**{name: getattr(first.settings, name) for name in first.settings.model_fields_set})
    told = settings.model_copy(update={"inherit": parent})
    methods = ("none", "l1", "l2", "none")
    requests = [
        replace(first, number=number, settings=told, parameters={**first.parameters, "inherit_method": method})
        for number, method in enumerate(methods)
    ]

    def refusing(configs, storage):
        if any(config.inheritance is not None for config in configs):
            raise InvalidInput("inherit.parent.weights", "there are none", "give some")
        yield from train_stack(configs, storage)

    monkeypatch.setattr("search.objective.train_stack", refusing)
    ended = [outcome for step in train_proxies(requests) for outcome in step]
    infeasible = {outcome.number: outcome.reason for outcome in ended if isinstance(outcome, TrialInfeasible)}
    assert infeasible == dict.fromkeys((1, 2), "inherit.parent.weights: there are none; give some")
    assert {outcome.number for outcome in ended if isinstance(outcome, Report) and outcome.finished} == {0, 3}


def test_losses_on_earlier_parts_are_values_of_an_evaluation(request_of):
    asked = request_of(rounds=2, parts=2, train_tokens=6144)
    reports = [outcome for group in train_proxies([asked]) for outcome in group]
    assert [sorted(name for name in report.values if name.startswith("part_loss")) for report in reports] == [
        ["part_loss_1"],
        ["part_loss_1", "part_loss_2"],
    ]
    assert reports[-1].attributes["rounds"] == 2


def test_a_study_that_varies_rounds_measures_forgetting_in_all_its_trials(request_of):
    asked = request_of()

    def measured(values, **settings):
        proxy = asked.settings.model_copy(update=settings)
        config = proxy_config(proxy, {**asked.parameters, **values}, asked.attributes, 1)
        return config.multiple_rounds.measures_forgetting

    assert measured({"rounds": 1})
    assert measured({}, rounds=2)
    assert not measured({})
    assert not measured({"rounds": 2}, forgetting=False)
