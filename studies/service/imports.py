"""Tables of runs made elsewhere become completed studies: read and fitted first, then stored in a short transaction."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from search.settings import Objective
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation
from studies.imports import parse_objective, read_table
from studies.records import Study, StudyState, Trial
from studies.repository import formulas, studies, trials
from studies.service.studies import add_study, check_name, get_study
from studies.spec import ImportedColumns, ImportSpec, Purpose


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table that was read and fitted, without the study that it is to become."""

    spec: ImportSpec
    trials: list[Trial]
    context: FitContext
    """With no study yet."""
    fitted: list[Formula]


def read_import(name: str, objective: str, purpose: Purpose, csv_bytes: bytes) -> ReadTable:
    """Read a table of runs and fit its formulas; minutes for the largest, and nothing is stored.

    Args:
        name: name of the study.
        objective: ``METRIC``, ``METRIC:minimize`` or ``METRIC:maximize``.
        purpose: whether the runs follow a declared design (estimate) or were chosen by outcome (optimise).
        csv_bytes: the table; see ``studies.imports.read_table``.

    Raises:
        InvalidInput: the name, the objective or the table is unusable.
    """
    from studies.formulas.registry import fit_all  # loads scipy: a second that only fitting need take

    check_name(name)
    metric, direction = parse_objective(objective)
    read = read_table(csv_bytes, metric, datetime.now(UTC))
    spec = ImportSpec(
        name=name,
        purpose=purpose,
        objectives=(Objective(metric=metric, direction=direction),),
        columns=ImportedColumns.model_validate(read.columns.names()),
        fingerprint=hashlib.sha256(csv_bytes).hexdigest(),
        rows=len(read.trials),
        unusable=read.unusable,
    )
    context = FitContext(studies=(), metric=metric, direction=direction, purpose=purpose)
    return ReadTable(spec, read.trials, context, fit_all([Observation.from_trial(row) for row in read.trials], context))


def add_import(session: Session, owner: str, table: ReadTable) -> Study:
    """Store a table as a completed study with its formulas."""
    now = datetime.now(UTC)
    study = add_study(session, owner, table.spec.name, StudyState.COMPLETED, table.spec.model_dump(mode="json"))
    studies.set_state(session, study.id, StudyState.COMPLETED, started_at=now, finished_at=now)
    trials.add_many(session, study.id, table.trials)
    own = str(study.id)
    named = [law.model_copy(update={"id": f"{own}-{law.id}", "studies": (own,)}) for law in table.fitted]
    formulas.add(session, study.id, named, now)
    return get_study(session, owner, study.id)
