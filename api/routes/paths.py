"""What the paths of several routes hold."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

LARGEST_ID = 2**31 - 1
"""(derived) Ids are 32-bit integers in PostgreSQL."""

StudyId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
TrialNumber = Annotated[int, Path(ge=0, le=LARGEST_ID)]
FurtherStudies = Annotated[
    tuple[Annotated[int, Field(ge=1, le=LARGEST_ID)], ...],
    Query(alias="with", description="Further studies whose trials are fitted together with this one's."),
]
ExportId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
ValidationId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
CampaignId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
OperationId = Annotated[int, Path(ge=1, le=LARGEST_ID)]
PresetName = Annotated[str, Path(max_length=100, description="Name of a preset: paper.")]
