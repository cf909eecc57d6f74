"""An application on a home of its own, and a table of runs to import into it."""

import math
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.in_process import InProcessTransport
from api.settings import Settings, load_settings

COLUMNS = "depth,width,ffn_ratio,vocabulary_size,batch_tokens,learning_rate,bits_per_byte,total_parameters,train_tokens,machine"


def runs_table() -> bytes:
    """Runs on a known law: best rate 0.002·(B/1024)^0.5, and a U over depth with its bottom at 4."""
    rows = [COLUMNS]
    for depth in (2, 4, 8):
        for batch in (1024, 2048, 4096, 8192):
            for rate in (0.001, 0.002, 0.004, 0.008):
                best = 0.002 * (batch / 1024) ** 0.5
                loss = 2.5 + 0.05 * math.log(rate / best) ** 2 + 0.04 * math.log2(depth / 4) ** 2
                rows.append(f"{depth},64,2.0,512,{batch},{rate},{loss:.6f},300000,1000000,box")
    return ("\n".join(rows) + "\n").encode()


@pytest.fixture
def table() -> bytes:
    return runs_table()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", environment={})


@pytest.fixture
def app(settings: Settings) -> Iterator[FastAPI]:
    app = create_app(settings)
    with app.state.database as database:
        database.migrate()
        yield app


@pytest.fixture
def http(app: FastAPI) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcessTransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture
def study(http: httpx.Client, table: bytes) -> int:
    """The id of an imported study of 48 trials."""
    answer = http.post(
        "/v1/studies:import",
        params={"name": "sweep", "objective": "bits_per_byte"},
        content=table,
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])
