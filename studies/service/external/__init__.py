"""Ask and tell for studies whose trials others train.

Each request holds the study's row and its lease until it is committed, so that numbers are allocated by one process at
a time, whichever that is; a trial is stored before its number is answered.
"""

from studies.service.external.requests import CompleteRequest, ReportRequest, SuggestRequest
from studies.service.external.suggesting import Suggestion, clients_now, suggest
from studies.service.external.telling import Advice, complete, report

__all__ = [
    "Advice",
    "CompleteRequest",
    "ReportRequest",
    "SuggestRequest",
    "Suggestion",
    "clients_now",
    "complete",
    "report",
    "suggest",
]
