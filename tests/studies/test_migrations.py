"""The schema is what the models declare, on both databases, however many processes create it at once."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from model.errors import InvalidInput
from studies.database import Database, migration_config
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import Law
from studies.formulas.simulation.planted import DepthPlan, RateBatchPlan, plant_depth_width, plant_rate_batch
from studies.records import StudyState
from studies.repository import formulas
from studies.service.studies import add_study
from studies.tables import REVISION, Base

ROOT = Path(__file__).parents[2]
PLANTED_RATES = plant_rate_batch(RateBatchPlan(), np.random.default_rng(0))
PLANTED_DEPTHS = plant_depth_width(DepthPlan(), np.random.default_rng(0))
MIGRATE = "import sys; from studies.database import Database; Database(sys.argv[1]).migrate()"


def test_models_and_migrations_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    with database.session() as session:
        session.execute(text("INSERT INTO owners (name, created_at) VALUES ('ada', '2026-01-01 00:00:00.000000')"))
    database.migrate()
    with database.read_session() as session:
        assert session.scalar(text("SELECT count(*) FROM owners")) == 1
        assert session.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_the_revision_of_the_tables_is_the_newest_migration(database: Database) -> None:
    with database.engine.connect() as connection:
        scripts = ScriptDirectory.from_config(migration_config(connection))
        assert scripts.get_heads() == [REVISION]
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == REVISION


def test_a_schema_that_was_taken_back_is_made_again(database: Database) -> None:
    with database.engine.begin() as connection:
        command.downgrade(migration_config(connection), "base")
    database.migrate()
    with database.engine.connect() as connection:
        assert "studies" in inspect(connection).get_table_names()


def test_downgrade_leaves_no_table(database: Database) -> None:
    with database.engine.begin() as connection:
        command.downgrade(migration_config(connection), "base")
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]


def test_several_processes_migrate_at_once(empty_url: str) -> None:
    url = Database(empty_url).url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, url], cwd=ROOT, stderr=subprocess.PIPE) for _ in range(4)
    ]
    failures = [error for error in (process.communicate(timeout=60)[1] for process in processes) if error]
    assert failures == []
    with Database(empty_url) as database, database.read_session() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == REVISION


@pytest.mark.parametrize(
    ("law", "plant"), [(fit_learning_rate_batch, PLANTED_RATES), (fit_depth_width, PLANTED_DEPTHS)]
)
def test_formulas_of_an_earlier_version_are_evaluated_as_before(
    database: Database, law: Law, plant: list[Observation]
) -> None:
    (formula,) = law(plant, FitContext(("1",), "validation_loss"))
    with database.session() as session:
        study = add_study(session, "ada", "planted", StudyState.COMPLETED, {})
        formulas.add(session, study.id, [formula], datetime.now(UTC))
    with database.engine.begin() as connection:
        command.downgrade(migration_config(connection), "0003")
        stored = connection.scalar(text("SELECT document FROM formulas"))
        assert "expression" not in json.dumps(stored)
    database.migrate()
    with database.read_session() as session:
        assert formulas.latest(session, study.id) == [formula]


@pytest.mark.parametrize("url", ["mysql://host/name", "not an address", "sqlite://", "sqlite:///:memory:"])
def test_unusable_addresses_are_refused_in_one_line(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"^database_url: ") as refusal:
        Database(url)
    assert "\n" not in str(refusal.value)
