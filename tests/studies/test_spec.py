"""The study spec: what is read, and what is refused with which field and remedy."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from model.errors import InvalidInput
from model.tokenizer import MIN_VOCABULARY_SIZE
from search.standard import MIN_VOCABULARY_SIZE as SMALLEST_SEARCHED
from studies.spec import ImportSpec, StudySpec, build_space, search_problem, stored_spec
from studies.specs.parsing import parse_spec
from studies.specs.yaml import load_spec_yaml

BAD_SPECS = yaml.safe_load((Path(__file__).parents[1] / "bad_specs.yaml").read_text(encoding="utf-8"))
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


@pytest.mark.parametrize("bad", BAD_SPECS, ids=lambda bad: f"{bad['path']}={bad.get('value', '')}"[:60])
def test_a_wrong_spec_is_refused_with_its_field_and_a_remedy(document, bad):
    error = refusal(changed(document, bad["path"], bad.get("value", ...)))
    assert error.field == bad["field"]
    assert bad["said"] in str(error)


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


def test_inner_points_are_stacked_where_a_program_can_hold_them(document):
    stacked = changed(document, "resources_per_trial.stack", 6)
    assert parse_spec(stacked).resources_per_trial.stack == 6
    lonely = changed(stacked, "inner", {"warmup_tokens": [0, 4096], "seed": [0]})
    error = refusal(lonely)
    assert error.field == "resources_per_trial.stack"
    assert "learning_rate, seed, weight_decay, or write stack: 1" in error.remedy
    assert parse_spec(changed(lonely, "resources_per_trial.stack", 1))


def test_a_stack_is_neither_stopped_early_nor_timed(document):
    stacked = changed(changed(document, "resources_per_trial.stack", 2), "purpose", "optimise")
    halved = changed(stacked, "scheduler.kind", "asha")
    timed = changed(stacked, "objectives.0", {"metric": "train_tokens_per_second", "direction": "maximize"})
    for refused, remedy in ((halved, "use scheduler none"), (timed, "use another objective")):
        assert refusal(refused).field == "resources_per_trial.stack"
        assert remedy in refusal(refused).remedy
        assert parse_spec(changed(refused, "resources_per_trial.stack", 1))


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
