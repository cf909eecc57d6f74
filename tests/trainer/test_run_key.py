"""What keeps a checkpoint from being gone on from, and what does not."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from trainer.cache import content_key
from trainer.config import PretrainConfig
from trainer.run_key import run_key

ARCHITECTURE = {
    "vocabulary_size": 512,
    "depth": 2,
    "width": 32,
    "ffn_width": 64,
    "head_dim": 16,
    "kv_heads": 2,
    "sequence_length": 64,
}
BEFORE = (
    '{"architecture":{"block":"llama","vocabulary_size":512,"depth":2,"width":32,"ffn_width":64,"head_dim":16,"kv_heads"'
    ':2,"tied_head":true,"sequence_length":64,"mask_documents":false,"rope_theta":10000.0,"norm_eps":0.00001,"qk_norm":fa'
    'lse,"mup_base_width":null},"optimization":{"learning_rate":0.003,"batch_tokens":4096,"weight_decay":0.1,"warmup_toke'
    'ns":null,"warmup_ratio":0.1,"final_learning_rate_ratio":0.1,"schedule":"cosine","cooldown_ratio":0.2,"beta1":0.9,"be'
    'ta2":0.95,"epsilon":1e-8,"gradient_clip":1.0,"z_loss":0.0},"initialization":{"scheme":"constant","std":null},"length'
    '":{"unit":"tokens","amount":1000.0},"seed":0,"annealed_evaluations":false,"compilation":"auto","validation_bytes":10'
    '0000,"micro_batch_tokens":16384,"tokenizer":"tokenizer.json","initial_weights":null}'
)
"""The keyed document of a run before there were parents, rounds and teachers."""
PARENT = {"inheritance": {"parent": "/a", "neurons": "l1"}}
TEACHER = {"distillation": {"teacher": "/a", "weight": 0.5}}
ROUNDS = {"multiple_rounds": {"rounds": 2, "parts": 4}}


def key(*fingerprints: str, **fields: Any) -> str:
    config = {"architecture": ARCHITECTURE, "length": {"unit": "tokens", "amount": 1000}, **fields}
    return run_key(PretrainConfig.model_validate(config), fingerprints)


def test_a_run_from_before_parents_rounds_and_teachers_is_gone_on_with() -> None:
    assert key("corpus", "tokenizer") == content_key(BEFORE, "corpus", "tokenizer")
    assert json.loads(BEFORE)["architecture"]["depth"] == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PARENT, {"inheritance": {"parent": "/b", "neurons": "l1", "parent_train_flops": 1e9}}),
        (TEACHER, {"distillation": {"teacher": "/b", "weight": 0.5}}),
        ({}, {"multiple_rounds": {"rounds": 1, "parts": 4, "selection": "fresh"}}),
        ({"threads": 1}, {"threads": 2, "checkpoint_every_steps": 7}),
    ],
)
def test_places_and_settings_that_are_not_read_change_nothing(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key(**one) == key(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PARENT, {}),
        (PARENT, {"inheritance": {"parent": "/a", "neurons": "l2"}}),
        (PARENT, {"inheritance": {"parent": "/a", "neurons": "l1", "layers": "first"}}),
        (TEACHER, {}),
        (TEACHER, {"distillation": {"teacher": "/a", "weight": 0.4}}),
        (ROUNDS, {}),
        (ROUNDS, {"multiple_rounds": {"rounds": 2, "parts": 8}}),
        (ROUNDS, {"multiple_rounds": {"rounds": 2, "parts": 4, "selection": "uniform"}}),
    ],
)
def test_what_changes_the_losses_changes_the_key(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key(**one) != key(**other)


def test_the_content_of_what_is_read_changes_the_key() -> None:
    assert key("corpus", "tokenizer") != key("corpus", "tokenizer", "teacher")


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"keep_weights": True}, "trained/ anyway"), ({**PARENT, "initial_weights": "w.safetensors"}, "give one of them")],
)
def test_fields_that_make_no_sense_in_a_full_run_are_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        key(**fields)
