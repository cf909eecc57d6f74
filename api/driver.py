"""Drives a study whose lease a worker hands over, and says on standard error how its trials end."""

from api.settings import Settings
from api.terminal.consoles import messages
from api.terminal.search_progress import PlainDisplay, Tally
from model.errors import FormularyError
from studies.database import Database
from studies.errors import Conflict, LeaseLost, NotFound
from studies.records import TERMINAL_TRIAL_STATES, Study, StudyState
from studies.repository import studies, trials
from studies.runner import run_study


def drive(settings: Settings, study_id: int, token: int) -> None:
    """Run the study that the lease with ``token`` is for; nothing where that is another run's by now.

    Raises:
        FormularyError: the study has failed.
        KeyboardInterrupt: it was interrupted, and is queued again.
    """
    try:
        with Database(settings.database_url) as database:
            ended = _run(database, settings, study_id, token)
    except (Conflict, LeaseLost, NotFound) as error:
        messages().print(f"nothing to do here: {error}", soft_wrap=True)
        return
    if ended.state is StudyState.FAILED:
        raise FormularyError(f"study {study_id} failed: {ended.error}")
    messages().print(f"study {study_id} is {ended.state}", soft_wrap=True)


def _run(database: Database, settings: Settings, study_id: int, token: int) -> Study:
    with database.read_session() as session:
        study = studies.get(session, study_id)
        counts = trials.count_by_state(session, study_id)
    if study is None:
        raise NotFound(f"study {study_id} was deleted")
    objective = study.spec["objectives"][0]
    finished = sum(count for state, count in counts.items() if state in TERMINAL_TRIAL_STATES)
    tally = Tally(objective["metric"], objective["direction"], study.spec["max_trial_count"], finished)
    display = PlainDisplay(messages(), tally)
    return run_study(database, study_id, settings.storage, [display], ray_address="auto", token=token)
