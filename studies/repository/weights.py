"""Queries on the weights that trials kept."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from studies.repository.trials import MAX_LISTED
from studies.tables import StudyRow, TrialRow
from trainer.weights_folder import WEIGHTS_KEY

_KEY: ColumnElement[str] = TrialRow.attributes[WEIGHTS_KEY].as_string()
_KEEPS: ColumnElement[bool] = StudyRow.spec["proxy"]["keep_weights"].as_boolean()


def keys_of(session: Session, study_id: int) -> set[str]:
    """The keys of the weights that a study's trials kept."""
    return set(session.scalars(select(_KEY).where(TrialRow.study_id == study_id, _KEY.is_not(None))))


def still_named(session: Session, keys: Collection[str]) -> set[str]:
    """Those of ``keys`` that a stored trial has, whoever owns it; studies that keep nothing are not looked through."""
    listed, found = sorted(keys), set[str]()
    of_keepers = select(_KEY).join(StudyRow, StudyRow.id == TrialRow.study_id).where(_KEEPS)
    for first in range(0, len(listed), MAX_LISTED):
        found |= set(session.scalars(of_keepers.where(_KEY.in_(listed[first : first + MAX_LISTED]))))
    return found
