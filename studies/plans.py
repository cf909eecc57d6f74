"""Plans of studies that others train, kept by a process between requests; the rows are the only truth."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import event
from sqlalchemy.orm import Session

from search.orders import Orders
from search.plan import Plan
from search.stopping import StoppingRule
from search.stopping.past import at_full_length, informed_rule, made_evaluations
from studies.history import history_of
from studies.orders import read_orders
from studies.problem import stored_problem
from studies.records import Study
from studies.repository import studies

MOST_KEPT = 16
"""Plans that a process keeps (assumed: some megabytes each, for thousands of trials)."""


class _RowOrders:
    """What is asked of a study, as its rows said when they were read last."""

    def __init__(self, latest: Orders) -> None:
        self.latest = latest

    def __call__(self) -> Orders:
        return self.latest


@dataclass(slots=True)
class ExternalSearch:
    """What decides which trial is next, and which one stops."""

    plan: Plan
    rule: StoppingRule
    evaluations: tuple[int, ...]
    """The numbers of the evaluations that each trial reports, in order."""
    orders: _RowOrders

    @classmethod
    def of_rows(cls, session: Session, study: Study) -> "ExternalSearch":
        """Build the search that the rows of a study tell of; its running trials go on."""
        problem = stored_problem(session, study, None)
        history = history_of(session, study.id, problem.metrics)
        orders = _RowOrders(read_orders(session, study.id))
        rule = informed_rule(problem, history)
        plan = Plan(problem, at_full_length(history, rule), orders)
        for trial in history:
            if trial.state == "RUNNING":
                plan.adopt(trial.number)
        return cls(plan, rule, made_evaluations(problem), orders)


class Plans:
    """The searches that this process has worked on last.

    Whoever works on a study holds its row; so what is kept is as the rows are, where the study's revision is still
    the one at which it was put back. Another process may have worked on it, or a transaction may have been rolled back:
    then the search is built anew.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[int, ExternalSearch | None]] = OrderedDict()
        self._lock = Lock()
        self.drawing = Lock()
        """Held while a plan draws points: some samplers' libraries draw from generators of the whole process."""

    def take(self, session: Session, study: Study) -> ExternalSearch:
        """The search of a study whose row this transaction holds; it is put back when that has been committed."""
        kept = self.take_kept(session, study)
        if kept is not None:
            return kept
        search = ExternalSearch.of_rows(session, study)
        self._put_back_after_commit(session, study.id, search)
        return search

    def take_kept(self, session: Session, study: Study) -> ExternalSearch | None:
        """As ``take``; None where the search would have to be built."""
        with self._lock:
            revision, search = self._kept.pop(study.id, (-1, None))
        if search is None or revision != study.revision:
            return None
        search.orders.latest = read_orders(session, study.id)
        self._put_back_after_commit(session, study.id, search)
        return search

    def _put_back_after_commit(self, session: Session, study_id: int, search: ExternalSearch) -> None:
        revision = -1

        @event.listens_for(session, "before_commit", once=True)
        def _read(session: Session) -> None:
            nonlocal revision
            found = studies.revision_of(session, study_id)
            revision = -1 if found is None else found.revision

        @event.listens_for(session, "after_commit", once=True)
        def _put(session: Session) -> None:
            with self._lock:
                before, _ = self._kept.get(study_id, (-1, None))
                if revision > before:
                    self._kept[study_id] = (revision, search)
                    self._kept.move_to_end(study_id)
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
