"""The API process reaches the service; it must not load what trains, and what only fits or migrates when asked to."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "ray", "optuna", "transformers", "studies.runner", "studies.workers.operations"}
WHEN_NEEDED = {"scipy", "alembic"}
LIST_STUDIES = """
import json, sys
import studies.service
from studies.database import Database
database = Database(sys.argv[1])
database.migrate()
with database.read_session() as session:
    assert studies.service.list_studies(session, "ada") == []
print(json.dumps(sorted(sys.modules)))
"""


def _modules_after_listing(url: str) -> set[str]:
    command = [sys.executable, "-c", LIST_STUDIES, url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_the_service_loads_only_what_a_request_needs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/formulary.db"
    first = _modules_after_listing(url)
    assert not HEAVY & first
    assert "alembic" in first
    assert not (HEAVY | WHEN_NEEDED) & _modules_after_listing(url)
