"""What the trials of a study took from a parent, as their records in the storage say."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from studies.repository import points
from studies.service.studies import get_study
from trainer.inheritance.record import InheritanceRecord, read_record, record_folder

KEY = "inheritance_key"
_CONTENT_KEY = re.compile(r"[0-9a-f]{64}")


def inherits(spec: Mapping[str, Any]) -> bool:
    """Whether trials of a study may have a parent."""
    return spec.get("inherit") is not None


def inheritance_record(
    session: Session, owner: str, study_id: int, storage: Path, number: int | None = None
) -> InheritanceRecord | None:
    """The record of a trial, or of the first one that has a table of layers; None while there is none.

    Raises:
        NotFound: the owner has no such study.
    """
    get_study(session, owner, study_id)
    of_trials = {trial: attributes.get(KEY) for trial, _, attributes in points.tried(session, study_id)}
    asked = of_trials.get(number) if number is not None else None
    records = _records(storage, [asked, *of_trials.values()])
    return next((record for record in records if record.importance is not None), None)


def _records(storage: Path, keys: list[Any]) -> Iterator[InheritanceRecord]:
    """Of the keys that have one; a key may be what a client of an external study wrote."""
    for key in dict.fromkeys(keys):
        if isinstance(key, str) and _CONTENT_KEY.fullmatch(key):
            record = read_record(record_folder(storage, key))
            if record is not None:
                yield record
