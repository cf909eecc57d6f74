"""The study spec: what is read, and what is refused with which field and remedy."""

import copy
import math
import subprocess
import sys

import pytest
import yaml

from model.errors import InvalidInput
from model.tokenizer import MIN_VOCABULARY_SIZE
from search.standard import MIN_VOCABULARY_SIZE as SMALLEST_SEARCHED
from studies.spec import ImportSpec, StudySpec, build_space, search_problem, stored_spec
from studies.spec_parsing import parse_spec
from studies.spec_yaml import load_spec_yaml

TEXT = """
version: 1
name: depth-against-width
purpose: estimate
space:
  depth: {type: int, low: 2, high: 16}
  vocabulary_size: {type: categorical, choices: [512, 1024, 2048]}
  ffn_ratio: {type: float, low: 1.0, high: 4.0}
  batch_tokens: {type: categorical, choices: [1024, 2048, 4096]}
inner: {learning_rate: [1e-3, 2.0e-3, .4e-2], seed: [0]}
constraints:
  total_parameters: {target: 1000000, tolerance: 0.03, solve_for: width}
objectives: [{metric: bits_per_byte, direction: minimize}]
sampler: {kind: qmc, seed: 0}
scheduler: {kind: none}
proxy: {corpus: {kind: builtin}, train_bytes: 1e6, sequence_length: 256}
max_trial_count: 24
parallel_trial_count: 2
resources_per_trial: {cpu: 1, gpu: 0}
"""


@pytest.fixture
def document():
    return load_spec_yaml(TEXT)


def test_the_documented_spec_is_read(document, tmp_path):
    spec = parse_spec(document)
    assert spec.inner["learning_rate"] == (0.001, 0.002, 0.004)
    assert spec.proxy.train_bytes == 1_000_000
    problem = search_problem(spec, "study-12", tmp_path)
    assert len(problem.space.inner_points) == 3
    assert stored_spec(spec.model_dump(mode="json")) == spec


def test_a_spec_of_one_point_is_fine():
    spec = parse_spec({"name": "one", "proxy": {"train_tokens": 4096}, "max_trial_count": 1})
    assert build_space(spec).size == 1


def changed(document, path, value):
    """The document with ``value`` at a dotted path; ``...`` removes it."""
    document = copy.deepcopy(document)
    *parents, last = path.split(".")
    here = document
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    key = int(last) if isinstance(here, list) else last
    if value is ...:
        del here[key]
    else:
        here[key] = value
    return document


def refusal(document):
    with pytest.raises(InvalidInput) as caught:
        parse_spec(document)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    return caught.value


INT = {"type": "int", "low": 2, "high": 8}
LR = {"type": "float", "low": 1e-4, "high": 1e-2}


@pytest.mark.parametrize(
    ("path", "value", "field", "said"),
    [
        ("name", ..., "name", "missing"),
        ("name", "", "name", "at least 1 character"),
        ("name", 5, "name", "in quotes"),
        ("sampler.kind", "bayes", "sampler.kind", "'random', 'grid', 'qmc' or 'tpe'"),
        ("sampler.sed", 1, "sampler.sed", "did you mean seed?"),
        ("max_trials", 24, "max_trials", "did you mean max_trial_count?"),
        ("seeds", 3, "seeds", "not supported by this version"),
        ("proxy.corpus", {"kind": "web"}, "proxy.corpus.kind", "kind 'web' is unknown"),
        ("proxy.corpus", {"path": "a"}, "proxy.corpus.kind", "one of builtin, text, jsonl"),
        ("proxy.corpus", {"kind": "builtin", "path": "a"}, "proxy.corpus.path", "does not belong to this kind"),
        ("proxy.corpus", {"kind": "text", "pth": "a"}, "proxy.corpus.path", "missing"),
        ("proxy.corpus", {"kind": "text", "path": "a", "pth": "a"}, "proxy.corpus.pth", "did you mean path?"),
        ("space.depth", {"type": "integer", "low": 1, "high": 2}, "space.depth.type", "type 'integer' is unknown"),
        ("space.depth", {"low": 1, "high": 2}, "space.depth.type", "type is missing"),
        ("space.depth.hihg", 3, "space.depth.hihg", "did you mean high?"),
        ("space.depth.low", "two", "space.depth.low", "'two' is not a number"),
        ("space.depth.low", "2", "space.depth.low", "'2' is not a number; write a number, without quotes"),
        ("space.depth.low", True, "space.depth.low", "True is not a number"),
        ("space.depth.log", 1, "space.depth.log", "true or false"),
        ("space.depth.log", "yes", "space.depth.log", "true or false"),
        ("space.depth", [2, 4], "space.depth", "a mapping"),
        ("space.vocabulary_size.low", 2, "space.vocabulary_size.low", "does not belong to this kind"),
        ("space.depth.low", 32, "space.depth.low", "low 32 is greater than high 16; swap them"),
        ("space.depth.low", 2.5, "space.depth.low", "2.5"),
        ("space.depth.high", 10**9, "space.depth.high", "1000000000"),
        ("space.depth.low", 0, "space.depth.low", "greater than or equal to 1"),
        ("space.ffn_ratio", {**LR, "low": 0.0, "log": True}, "space.ffn_ratio.low", "has no logarithm"),
        ("space.weight_decay", {**LR, "low": math.nan}, "space.weight_decay.low", "finite"),
        ("space.weight_decay", {**LR, "high": math.inf}, "space.weight_decay.high", "finite"),
        ("space.vocabulary_size.choices", [], "space.vocabulary_size.choices", "at least 1"),
        ("space.vocabulary_size.choices", [512, 512], "space.vocabulary_size.choices", "twice"),
        ("space.vocabulary_size.choices", [math.inf], "space.vocabulary_size.choices.0", "finite"),
        ("space.vocabulary_size.choices", [512.0], "space.vocabulary_size.choices.0", "512.0"),
        ("space.vocabulary_size.choices", [200, 512], "space.vocabulary_size.choices.0", "257"),
        ("space.vocabulary_size", {**LR, "low": 512, "high": 999}, "space.vocabulary_size.type", "type: int"),
        ("space.batch_tokens.choices", [1024, 1000], "space.batch_tokens", "1000 is not a multiple"),
        ("space.learning_rat", LR, "space.learning_rat", "did you mean learning_rate?"),
        ("space.zzz", LR, "space.zzz", "use one of batch_tokens, depth"),
        ("space.block", INT, "space.block", "not supported by this version"),
        ("space.inherit_method", INT, "space.inherit_method", "not supported by this version"),
        ("space.sampling_rate", LR, "space.sampling_rate", "not supported by this version"),
        ("space.rounds", INT, "space.rounds", "not supported by this version"),
        ("space.width", INT, "space.width", "solves for"),
        ("inner.depth", [2], "inner.depth", "in the space as well"),
        ("inner.head_dim", [32], "inner.head_dim", "changes the parameter count"),
        ("inner.learning_rate", [0.0], "inner.learning_rate.0", "greater than 0"),
        ("inner.learning_rate", [math.nan], "inner.learning_rate.0", "finite"),
        ("inner.learning_rate", [], "inner.learning_rate", "at least 1"),
        ("inner.learning_rate", 1e-3, "inner.learning_rate", "a list"),
        ("inner.seed", [0.5], "inner.seed.0", "0.5"),
        ("inner.seed", [-1], "inner.seed.0", "-1"),
        ("inner.init_scheme", ["xavier"], "inner.init_scheme.0", "'constant' or 'gpt2'"),
        ("space.init_scheme", {"type": "categorical", "choices": ["gpt3"]}, "space.init_scheme.choices.0", "gpt3"),
        ("constraints.total_parameters.target", 1000, "constraints.total_parameters.target", "smallest network"),
        ("constraints.total_parameters.solve_for", "depth", "constraints.total_parameters.solve_for", "'width'"),
        ("constraints.total_parameters.tolerance", math.nan, "constraints.total_parameters.tolerance", "finite"),
        ("objectives", [], "objectives", "at least 1"),
        ("objectives.0.metric", "loss", "objectives.0.metric", "bits_per_byte"),
        ("objectives.0.direction", "maximize", "objectives.0.direction", "write minimize"),
        ("objectives.0.metric", "decode_tokens_per_second", "objectives.0.metric", "not measured"),
        ("sampler.kind", "tpe", "sampler.kind", "purpose: optimise"),
        ("sampler.kind", "grid", "space.ffn_ratio", "continuous"),
        ("sampler.seed", -1, "sampler.seed", "greater than or equal to 0"),
        ("scheduler.kind", "asha", "scheduler.kind", "purpose: optimise"),
        ("proxy.train_bytes", ..., "proxy", "exactly one training length and has none"),
        ("proxy.train_tokens", 1000, "proxy", "train_tokens and train_bytes"),
        ("proxy.train_bytes", math.inf, "proxy.train_bytes", "finite"),
        ("proxy.train_bytes", "1000000", "proxy.train_bytes", "without quotes"),
        ("proxy.train_bytes", 10**30, "proxy.train_bytes", "at most 1e+15"),
        ("proxy.tied_head", 0, "proxy.tied_head", "true or false"),
        ("proxy.kv_heads", True, "proxy.kv_heads", "is not a number"),
        ("proxy.train_bytes", -5, "proxy.train_bytes", "greater than 0"),
        ("proxy.sequence_length", 300, "space.batch_tokens", "not a multiple of sequence_length 300"),
        ("proxy.learning_rate", 0, "proxy.learning_rate", "greater than 0"),
        ("proxy.weight_decay", -0.1, "proxy.weight_decay", "greater than or equal to 0"),
        ("proxy.kv_heads", 0, "proxy.kv_heads", "greater than or equal to 1"),
        ("proxy.evaluations", 0, "proxy.evaluations", "greater than or equal to 1"),
        ("proxy.validation_bytes", 10, "proxy.validation_bytes", "1000"),
        ("proxy.warmup_ratio", 1.5, "proxy.warmup_ratio", "less than 1"),
        ("max_trial_count", 0, "max_trial_count", "greater than or equal to 1"),
        ("parallel_trial_count", 100, "parallel_trial_count", "use at most 24"),
        ("resources_per_trial.cpu", 0, "resources_per_trial.cpu", "greater than 0"),
        ("version", 2, "version", "1"),
        ("execution", "external", "execution", "'ray'"),
        ("tags", ["a", ""], "tags.1", "at least 1 character"),
    ],
)  # fmt: skip
def test_a_wrong_spec_is_refused_with_its_field_and_a_remedy(document, path, value, field, said):
    error = refusal(changed(document, path, value))
    assert error.field == field
    assert said in str(error)


def test_whole_numbers_may_be_written_as_floats(document):
    assert parse_spec(changed(document, "max_trial_count", 1e1)).max_trial_count == 10


def test_inner_grids_are_not_multiplied_without_end(document):
    grids = {"seed": list(range(1000)), "weight_decay": [n / 1000 for n in range(1000)], "warmup_tokens": [*range(999)]}
    error = refusal(changed(document, "inner", grids))
    assert error.field == "inner"
    assert "999000000 points" in error.reason


def test_vocabularies_are_not_compared_at_equal_tokens(document):
    tokens = changed(changed(document, "proxy.train_bytes", ...), "proxy.train_tokens", 10_000)
    assert refusal(tokens).field == "proxy.train_tokens"
    assert parse_spec(changed(tokens, "space.vocabulary_size.choices", [512]))
    inner = changed(changed(tokens, "space.vocabulary_size", ...), "constraints", {})
    assert refusal(changed(inner, "inner.vocabulary_size", [512, 1024])).field == "proxy.train_tokens"


def test_adaptive_studies_are_accepted_when_they_say_so(document):
    adaptive = changed(changed(document, "purpose", "optimise"), "sampler.kind", "tpe")
    assert parse_spec(changed(adaptive, "scheduler.kind", "asha"))
    graceful = changed(adaptive, "scheduler", {"kind": "asha", "grace_evaluations": 9})
    assert refusal(graceful).field == "scheduler.grace_evaluations"
    late = changed(changed(adaptive, "scheduler.kind", "asha"), "objectives.0", {"metric": "train_flops"})
    assert refusal(late).field == "scheduler.kind"


def test_several_errors_are_counted(document):
    wrong = changed(changed(changed(document, "name", ""), "max_trial_count", 0), "sampler.kind", "x")
    assert str(refusal(wrong)).endswith("(and 2 more)")


@pytest.mark.parametrize("document", [None, [], "text", 3, {}])
def test_what_is_no_spec_is_refused(document):
    assert refusal(document)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2E+4", -2e4),
        ("1.5e3", 1500.0),
        (".5e1", 5.0),
        ("1.e2", 100.0),
        ("1_0e1", 100.0),
        ("0.1", 0.1),
    ],
)
def test_yaml_numbers_in_every_spelling_are_numbers(text, value):
    assert load_spec_yaml(f"x: {text}") == {"x": value}


@pytest.mark.parametrize("text", ["'1e-3'", "e3", "1e", "1e3x", "2024-01-01e"])
def test_what_is_no_number_stays_text(text):
    assert isinstance(load_spec_yaml(f"x: {text}")["x"], str)


def bomb(levels):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merge_bomb(levels):
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (bomb(30), "holds more than"),
        (merge_bomb(30), "holds more than"),
        ("a: &a [*a]", "nested deeper"),
        ("[" * 5000, ""),
        ("a: 1\na: 2", "'a' is given twice"),
        ("a: [1, 2", "line 1"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("x" * 2**20 + "x", "longer than"),
        ("? [a, b]\n: 1", "no plain value"),
        ("a: !!map [b]", "line 1, column 4"),
        ("a: !!bool maybe", "column 4: 'maybe' cannot be read as bool"),
        ("a: !!timestamp x", "cannot be read as timestamp"),
        ("a: !!int ''", "cannot be read as int"),
        ("a: " + "9" * 5000, "cannot be read as int"),
    ],
)
def test_hostile_or_broken_yaml_is_refused(text, said):
    with pytest.raises(InvalidInput) as caught:
        load_spec_yaml(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_loader_leaves_other_loaders_alone():
    load_spec_yaml("x: 1e-3")
    assert yaml.safe_load("x: 1e-3") == {"x": "1e-3"}


def test_the_smallest_vocabulary_is_the_tokenizer_s():
    assert SMALLEST_SEARCHED == MIN_VOCABULARY_SIZE


def test_an_import_is_described_by_its_columns():
    spec = ImportSpec(
        name="runs",
        columns={"parameters": ["depth"], "metrics": ["bits_per_byte"], "attributes": ["gpu"]},
        fingerprint="0" * 64,
        rows=12,
    )
    assert stored_spec(spec.model_dump(mode="json")) == spec
    assert isinstance(spec, ImportSpec)
    assert not isinstance(spec, StudySpec)


def test_reading_a_spec_loads_neither_torch_nor_ray():
    code = "import sys, studies.spec; print([n for n in ('torch', 'ray', 'optuna', 'sqlalchemy') if n in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
