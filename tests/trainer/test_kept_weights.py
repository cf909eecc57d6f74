"""Proxies that leave their weights in storage."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from model.errors import InvalidInput
from model.hf import from_transformers
from model.inheritance.folder import parent_folder
from tests.trainer.conftest import proxy_fields
from trainer.config import InitializationConfig, JsonlCorpus, ProxyConfig
from trainer.evaluate import Evaluator
from trainer.parallel.world import alone
from trainer.program import SingleProgram
from trainer.proxies import train, train_stack
from trainer.results import RunSummary, StepResult
from trainer.text.data import prepare
from trainer.weights_folder import has_weights, is_weights_key, weights_folder


def kept(corpus: JsonlCorpus, **changes: Any) -> ProxyConfig:
    return ProxyConfig(**proxy_fields(corpus, steps=4, keep_weights=True, **changes))


def last(config: ProxyConfig, storage: Path) -> RunSummary:
    *_, result = train(config, storage)
    assert result.summary is not None
    return result.summary


def folder_of(summary: RunSummary, storage: Path) -> Path:
    key = summary.attributes["weights_key"]
    assert is_weights_key(key)
    return weights_folder(storage, str(key))


def test_a_proxy_leaves_its_network_and_its_tokenizer(corpus: JsonlCorpus, storage: Path) -> None:
    config = kept(corpus)
    folder = folder_of(last(config, storage), storage)
    assert has_weights(folder)
    found = parent_folder(folder)
    assert (found.architecture, found.tokenizer) == (config.architecture, folder / "tokenizer.json")
    tokens = AutoTokenizer.from_pretrained(folder)("def f(x):", return_tensors="pt").input_ids
    theirs = AutoModelForCausalLM.from_pretrained(folder)(tokens).logits
    torch.testing.assert_close(from_transformers(folder)(tokens), theirs)
    assert sorted(path.name for path in folder.parent.iterdir() if not path.name.startswith(".")) == [folder.name]


def test_the_kept_weights_are_those_that_were_evaluated(corpus: JsonlCorpus, storage: Path) -> None:
    config = kept(corpus)
    summary = last(config, storage)
    program = SingleProgram(config, "sdpa", torch.device("cpu"))
    program.network.load_state_dict(from_transformers(folder_of(summary, storage)).state_dict())
    data = prepare(corpus, config.architecture.vocabulary_size, config.validation_bytes, storage)
    (evaluation,) = Evaluator(data, config.architecture.sequence_length, 8, alone()).evaluate(program.nats, "float32")
    assert evaluation.bits_per_byte == pytest.approx(summary.metrics["bits_per_byte"], rel=1e-5)


def test_a_repeated_run_writes_the_same_and_another_seed_something_else(corpus: JsonlCorpus, storage: Path) -> None:
    first, again, other = (last(kept(corpus, seed=seed), storage).attributes["weights_key"] for seed in (3, 3, 4))
    assert first == again != other


def test_every_member_of_a_stack_keeps_its_own(corpus: JsonlCorpus, storage: Path) -> None:
    configs = [kept(corpus, seed=seed) for seed in (5, 6)]
    results: list[StepResult] = []
    for step in train_stack(configs, storage):
        results = [result for result in step.values() if isinstance(result, StepResult)]
    summaries = [result.summary for result in results if result.summary is not None]
    networks = [from_transformers(folder_of(summary, storage)) for summary in summaries]
    assert len(networks) == 2
    assert not torch.equal(networks[0].embedding.weight, networks[1].embedding.weight)
    alone = from_transformers(folder_of(last(configs[1], storage), storage))
    torch.testing.assert_close(alone.embedding.weight, networks[1].embedding.weight, rtol=1e-3, atol=1e-5)


def test_a_network_under_mup_is_kept_with_its_multipliers_folded(corpus: JsonlCorpus, storage: Path) -> None:
    fields = proxy_fields(corpus)
    architecture = fields["architecture"].model_copy(update={"mup_base_width": 16})
    config = kept(corpus, architecture=architecture, initialization=InitializationConfig(scheme="mup"))
    summary = last(config, storage)
    assert parent_folder(folder_of(summary, storage)).architecture.parametrisation == "standard"


def test_nothing_is_kept_unasked(config: ProxyConfig, tmp_path: Path) -> None:
    short = config.model_copy(update={"evaluations": 1})
    assert "weights_key" not in last(short, tmp_path).attributes
    assert not (tmp_path / "weights").exists()


def test_blocks_that_transformers_lacks_are_not_kept(corpus: JsonlCorpus, storage: Path) -> None:
    architecture = proxy_fields(corpus)["architecture"].model_copy(update={"block": "pangu_pi"})
    with pytest.raises(InvalidInput, match="transformers has no class for pangu_pi blocks"):
        last(kept(corpus, architecture=architecture), storage)


@pytest.mark.parametrize("value", ["../../etc", "a" * 63, "A" * 64, 5, None, "a" * 64 + "\n"])
def test_no_other_text_names_a_folder_of_weights(value: object) -> None:
    assert not is_weights_key(value)
