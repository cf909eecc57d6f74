"""What can be asked of stored studies. Functions take a session and an owner, and never commit."""

from studies.service.exports import (
    ExportRequest,
    RecipeRequest,
    get_export,
    get_operation,
    list_exports,
    recipe,
    request_export,
)
from studies.service.formulas import fit_and_store, import_table, list_formulas
from studies.service.studies import (
    cancel_study,
    create_study,
    delete_study,
    find_unfinished,
    get_study,
    list_studies,
    pause_study,
    prepare_spec,
    resume_study,
    stop_study,
)
from studies.service.trials import best_trial, best_trials, get_trial, list_intermediate_values, list_trials

__all__ = [
    "ExportRequest",
    "RecipeRequest",
    "best_trial",
    "best_trials",
    "cancel_study",
    "create_study",
    "delete_study",
    "find_unfinished",
    "fit_and_store",
    "get_export",
    "get_operation",
    "get_study",
    "get_trial",
    "import_table",
    "list_exports",
    "list_formulas",
    "list_intermediate_values",
    "list_studies",
    "list_trials",
    "pause_study",
    "prepare_spec",
    "recipe",
    "request_export",
    "resume_study",
    "stop_study",
]
