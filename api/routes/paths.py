"""What the paths of several routes hold."""

from typing import Annotated

from fastapi import Path

LARGEST_ID = 2**31 - 1
"""(derived) Ids are 32-bit integers in PostgreSQL."""

StudyId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
TrialNumber = Annotated[int, Path(ge=0, le=LARGEST_ID)]
ExportId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
OperationId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
