"""What can be asked of stored studies. Functions take a session and an owner, and never commit."""

from studies.service.answers import begin_answer, store_answer
from studies.service.continuing import enqueue_points, extend_study
from studies.service.exports import (
    ExportRequest,
    RecipeRequest,
    get_export,
    get_operation,
    list_exports,
    recipe,
    request_export,
)
from studies.service.formulas import find_formula, fit_and_store, list_formulas, suggest_study
from studies.service.imports import ReadTable, add_import, read_import
from studies.service.keys import (
    create_key,
    find_key,
    is_valid_key,
    list_keys,
    note_use,
    revoke_key,
    use_is_due,
)
from studies.service.leaders import leaders
from studies.service.logins import (
    create_login_code,
    find_login,
    log_in_with_code,
    log_in_with_key,
    log_out,
)
from studies.service.spaces import get_space
from studies.service.studies import (
    add_prepared_study,
    cancel_study,
    clone_study,
    count_studies,
    create_study,
    delete_study,
    find_unfinished,
    get_study,
    list_studies,
    pause_study,
    prepare_spec,
    resume_study,
    stop_study,
    warnings_of,
)
from studies.service.targets import TargetRequest, preset_recipe
from studies.service.trials import best_trial, best_trials, get_trial, list_intermediate_values, list_trials
from studies.service.watching import changed_trials, look, new_values
from studies.service.workers import a_worker_lives_here, list_workers

__all__ = [
    "ExportRequest",
    "ReadTable",
    "RecipeRequest",
    "TargetRequest",
    "a_worker_lives_here",
    "add_import",
    "add_prepared_study",
    "begin_answer",
    "best_trial",
    "best_trials",
    "cancel_study",
    "changed_trials",
    "clone_study",
    "count_studies",
    "create_key",
    "create_login_code",
    "create_study",
    "delete_study",
    "enqueue_points",
    "extend_study",
    "find_formula",
    "find_key",
    "find_login",
    "find_unfinished",
    "fit_and_store",
    "get_export",
    "get_operation",
    "get_space",
    "get_study",
    "get_trial",
    "is_valid_key",
    "leaders",
    "list_exports",
    "list_formulas",
    "list_intermediate_values",
    "list_keys",
    "list_studies",
    "list_trials",
    "list_workers",
    "log_in_with_code",
    "log_in_with_key",
    "log_out",
    "look",
    "new_values",
    "note_use",
    "pause_study",
    "prepare_spec",
    "preset_recipe",
    "read_import",
    "recipe",
    "request_export",
    "resume_study",
    "revoke_key",
    "stop_study",
    "store_answer",
    "suggest_study",
    "use_is_due",
    "warnings_of",
]
