"""A search whose first trials start sooner: Ray starts their processes while this one loads Tune."""

from collections.abc import Callable, Sequence

from search.cluster import connection, quiet_environment, start_processes
from search.events import Observer
from search.orders import Look
from search.plan import Plan
from search.problem import PastTrial, SearchProblem


def run_search(
    problem: SearchProblem,
    history: Sequence[PastTrial],
    observer: Observer,
    should_stop: Callable[[], bool],
    *,
    ray_address: str | None,
    look: Look | None = None,
) -> None:
    """Run a search as ``search.tune.run_search`` does, which raises the same."""
    if Plan(problem, history).finished:
        return
    with quiet_environment(), connection(ray_address):
        wait_until_started = start_processes(problem.parallel_trial_count)
        from search import tune  # a second

        wait_until_started()
        tune.run_search(problem, history, observer, should_stop, look=look)
