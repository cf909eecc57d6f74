"""Warm starts: which trials of earlier studies a new one is told, and what is said of the others."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from search.problem import SearchProblem
from studies import service
from studies.database import Database
from studies.earlier import earlier_studies
from studies.problem import stored_problem
from studies.records import Study, StudyState, Trial, TrialState
from studies.repository import trials
from studies.runner import run_study
from studies.service.studies import add_study
from studies.spec import StartSpec, StudySpec, build_space

Make = Callable[..., Study]


@pytest.fixture
def empty_url(tmp_path: Path) -> str:
    """One database is enough: what is tested here reads trials as other tests do."""
    return f"sqlite:///{tmp_path}/formulary.db"


@pytest.fixture
def make(database: Database, document: dict[str, Any], roots: list[Path]) -> Make:
    def make(owner: str = "ada", proxy: dict[str, Any] | None = None, **changes: Any) -> Study:
        spec = {
            **document,
            "space": {"depth": {"type": "int", "low": 1, "high": 8}},
            "sampler": {"kind": "tpe"},
            "purpose": "optimise",
            "proxy": {**document["proxy"], **(proxy or {})},
            **changes,
        }
        with database.session() as session:
            return service.create_study(session, owner, spec, roots)

    return make


def plant(database: Database, study: Study, *planted: tuple[int, float], **changes: Any) -> None:
    """Store trials of some depths at two rates; ``changes`` are those of every trial."""
    ended: Any = None
    with database.session() as session:
        first = len(service.list_trials(session, study.owner, study.id))
        rows = [
            Trial(
                number=first + 2 * place + inner,
                state=changes.get("state", TrialState.COMPLETE),
                parameters={"depth": depth, "learning_rate": rate, **changes.get("parameters", {})},
                metrics={"bits_per_byte": value + inner},
                attributes=changes.get("attributes", {}),
                reason=None,
                attempts=1,
                started_at=ended,
                finished_at=ended,
            )
            for place, (depth, value) in enumerate(planted)
            for inner, rate in enumerate((1e-3, 2e-3))
        ]
        trials.add_many(session, study.id, rows)


def problem(database: Database, study: Study, storage: Path | None = None) -> SearchProblem:
    with database.read_session() as session:
        return stored_problem(session, study, storage)


def said(database: Database, study: Study) -> list[str]:
    with database.read_session() as session:
        return [line for line in service.warnings_of(session, study) if line.startswith("start")]


def test_trials_of_an_earlier_study_are_told_and_those_that_do_not_fit_are_counted(
    database: Database, make: Make
) -> None:
    earlier = make()
    plant(database, earlier, (2, 2.5), (3, 2.4), (8, 2.6))
    plant(database, earlier, (4, 2.0), state=TrialState.PRUNED)
    plant(database, earlier, (5, 2.0), state=TrialState.FAIL)
    plant(database, earlier, (6, 2.0), attributes={"origin": "replicate"})
    narrower = make(space={"depth": {"type": "int", "low": 1, "high": 6}}, start={"study": earlier.id})
    assert narrower.spec["start"]["studies"] == [earlier.id]
    found = problem(database, narrower).start.earlier
    assert [(trial.study, trial.parameters["depth"], trial.values) for trial in found] == [
        (str(earlier.id), 2, (2.5,)),
        (str(earlier.id), 2, (3.5,)),
        (str(earlier.id), 3, (2.4,)),
        (str(earlier.id), 3, (3.4,)),
        (str(earlier.id), 5, None),
        (str(earlier.id), 5, None),
    ]
    (line,) = said(database, narrower)
    assert line.startswith(f"start: 6 of the 12 trials of study {earlier.id} are taken; left out: 2 ")
    for reason in ("2 lie outside of the space", "2 did not reach their end", "2 train leaders again"):
        assert reason in line


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ({"train_tokens": 2000}, "differ in proxy.train_tokens"),
        ({"schedule": "wsd"}, "differ in proxy.schedule"),
        ({"precision": "float32"}, "differ in proxy.precision"),
        ({"vocabulary_size": 2048}, "differ in proxy.vocabulary_size"),
        ({"round_losses": "end"}, "differ in proxy.round_losses"),
        ({"keep_weights": True}, None),
        ({"seed": 5}, None),
        ({"evaluations": 2}, None),
    ],
)
def test_what_a_result_depends_on_must_agree(
    database: Database, make: Make, proxy: dict[str, Any], reason: str | None
) -> None:
    earlier = make(proxy=proxy)
    plant(database, earlier, (2, 2.5))
    study = make(start={"study": earlier.id})
    assert len(problem(database, study).start.earlier) == (0 if reason else 2)
    assert (reason or "2 of the 2 trials") in said(database, study)[0]


def test_what_was_fixed_there_may_vary_here_and_the_other_way_round(database: Database, make: Make) -> None:
    earlier = make()
    plant(database, earlier, (2, 2.5), (3, 2.6))
    wider = make(
        space={
            "depth": {"type": "int", "low": 1, "high": 8},
            "vocabulary_size": {"type": "categorical", "choices": [512, 1024]},
        },
        proxy={"train_tokens": None, "train_bytes": 4000},
        start={"studies": [earlier.id]},
    )
    assert "differ in proxy.train_tokens" in said(database, wider)[0]
    fixed = make(
        space={"width": {"type": "int", "low": 64, "high": 128, "step": 32}},
        proxy={"depth": 3},
        start={"study": earlier.id},
    )
    assert [trial.parameters["width"] for trial in problem(database, fixed).start.earlier] == [128, 128]
    assert "2 differ in proxy.depth" in said(database, fixed)[0]
    other_rates = make(inner={"learning_rate": [2e-3, 4e-3]}, start={"study": earlier.id})
    assert [trial.parameters["learning_rate"] for trial in problem(database, other_rates).start.earlier] == [2e-3] * 2


def test_trials_of_another_parent_or_teacher_are_not_taken(database: Database, make: Make) -> None:
    """Which weights a run starts from, and how it takes them, decides its result like any setting."""
    parent, other = ({"kind": "trial", "study": 1, "trial": number} for number in (4, 5))
    models = {
        "plain": {},
        "of the parent": {"inherit": {"parent": parent, "neurons": "l1"}},
        "of the parent, by others": {"inherit": {"parent": parent, "neurons": "l2"}},
        "of another": {"inherit": {"parent": other, "neurons": "l1"}},
        "taught": {"teacher": {"model": parent}},
    }
    template = make()
    with database.session() as session:
        stored = {
            name: add_study(session, "ada", name, StudyState.COMPLETED, {**template.spec, **changes})
            for name, changes in models.items()
        }
        new = StudySpec.model_validate({**template.spec, **models["of the parent"]})
        varying = StudySpec.model_validate({**new.model_dump(), "inner": {**new.inner, "inherit_method": ["l1", "l2"]}})
    reasons = {"plain": "differ in inherit_method", "of the parent, by others": "differ in inherit_method"}
    reasons |= {"of another": "differ in inherit", "taught": "differ in inherit_method"}
    for name, study in stored.items():
        plant(database, study, (2, 2.5))
        assert taken(database, study, new) == ({} if name == "of the parent" else {reasons[name]: 2}), name
    assert taken(database, stored["of the parent, by others"], varying) == {}
    assert taken(database, stored["plain"], varying) == {"differ in inherit": 2}


def taken(database: Database, study: Study, spec: StudySpec) -> Mapping[str, int]:
    """How many trials of a study a new one leaves out, by reason."""
    starting = spec.model_copy(update={"start": StartSpec(studies=(study.id,))})
    with database.read_session() as session:
        (earlier,) = earlier_studies(session, "ada", starting, build_space(starting), None)
    return earlier.left_out


def test_another_network_or_text_is_not_taken(database: Database, make: Make, tmp_path: Path) -> None:
    earlier = make()
    plant(database, earlier, (2, 2.5), attributes={"total_parameters": 17})
    plant(database, earlier, (3, 2.5), attributes={"corpus_fingerprint": "0" * 64})
    study = make(start={"study": earlier.id})
    assert len(problem(database, study, tmp_path / "storage").start.earlier) == 0
    assert "2 have another network at the same values" in said(database, study)[0]


def test_only_ones_own_studies_of_the_same_objective(database: Database, make: Make) -> None:
    theirs = make(owner="eve")
    other = make(objectives=[{"metric": "train_flops"}])
    for study_id, reason in (
        (theirs.id, "there is no study"),
        (999, "there is no study"),
        (other.id, "did not minimize"),
    ):
        with pytest.raises(InvalidInput, match=reason) as caught:
            make(start={"study": study_id})
        assert caught.value.field == "start"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sampler": {"kind": "random"}}, "does not learn"),
        ({"purpose": "estimate", "sampler": {"kind": "qmc"}}, "chooses by outcome"),
    ],
)
def test_a_start_that_changes_nothing_or_spoils_inference_is_refused(
    make: Make, changes: dict[str, Any], reason: str
) -> None:
    earlier = make()
    with pytest.raises(InvalidInput, match=reason):
        make(start={"study": earlier.id}, **changes)


def test_a_run_is_given_the_earlier_trials_and_goes_on_when_their_study_is_gone(
    database: Database, make: Make, tmp_path: Path
) -> None:
    earlier = make()
    plant(database, earlier, (2, 2.5))
    study = make(start={"study": earlier.id})
    seen: list[int] = []

    def search(problem: SearchProblem, *_: Any, **__: Any) -> None:
        seen.append(len(problem.start.earlier))
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_study(database, study.id, tmp_path, search=search)
        if seen == [2]:
            with database.session() as session:
                service.delete_study(session, "ada", earlier.id)
    assert seen == [2, 0]
