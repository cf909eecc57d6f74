"""How long reads take while a study trains on every core: the 99th percentile over the pages' own requests."""

import statistics
import time
from pathlib import Path

import httpx
import yaml

from benchmarks.service import create_study, running_service, wait_for

BUDGET_MS = 50.0
READS = 1000
WARMED_UP = 20
DEMO = Path(__file__).parents[1] / "studies" / "presets" / "demo.yaml"


def milliseconds(client: httpx.Client, path: str) -> float:
    """Wall milliseconds of one read."""
    begun = time.perf_counter()
    client.get(path).raise_for_status()
    return (time.perf_counter() - begun) * 1e3


def measure() -> float:
    """The budget of 50 ms over the 99th percentile of reads by one client, one after the other."""
    with running_service() as client:
        study_id = create_study(client, yaml.safe_load(DEMO.read_text()))
        wait_for(client, study_id, "RUNNING")
        while not client.get(f"/v1/studies/{study_id}/best-trials").json()["trials"]:
            time.sleep(0.2)
        study = f"/v1/studies/{study_id}"
        paths = ("/v1/studies", study, f"{study}/trials", f"{study}/best-trials", f"{study}/formulas")
        taken = [milliseconds(client, paths[number % len(paths)]) for number in range(WARMED_UP + READS)][WARMED_UP:]
        state = client.get(study).json()["state"]
        client.post(f"{study}:cancel").raise_for_status()
    p50, p99 = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
    print(f"{READS} reads while the study was {state}: median {p50:.1f} ms, p99 {p99:.1f} ms; budget {BUDGET_MS} ms")
    if state != "RUNNING":
        raise RuntimeError("the study ended before the reads: these are not reads while a study runs")
    return BUDGET_MS / p99
