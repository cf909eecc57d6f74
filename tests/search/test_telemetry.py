"""What a slot shows in the Ray dashboard, read where Ray offers it: on the metrics port and in the actor's log."""

import re
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import ray

from search.constraints import Constraints
from search.events import TrialEvent
from search.problem import Report, SearchProblem, TrialImpossible, TrialRequest
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from search.tune import run_search
from trainer.config import ProxySettings

pytestmark = pytest.mark.slow

DEADLINE_S = 240.0


@pytest.fixture(scope="module")
def logs() -> Iterator[Path]:
    """The folder of a Ray's logs that exports its gauges every second."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="CRITICAL",
            _temp_dir=folder,
            _system_config={"metrics_report_interval_ms": 1000},
        )
        yield Path(folder) / "session_latest" / "logs"
        ray.shutdown()


def two_ends(requests: Sequence[TrialRequest]) -> Iterator[list[Report]]:
    """Trials 0 and 1 are infeasible; the others evaluate until the test has seen their gauges."""
    numbers, storage = [request.number for request in requests], requests[0].storage
    if 0 in numbers:
        raise TrialImpossible("no such\ndevice")
    deadline = time.monotonic() + DEADLINE_S
    yield [Report(number, 0, {"validation_loss": 1.0}) for number in numbers]
    while not (storage / "seen").exists() and time.monotonic() < deadline:
        yield [Report(number, 40 + number, {"bits_per_byte": 2.5}) for number in numbers]
        time.sleep(0.2)
    yield [Report(number, 50, {"bits_per_byte": 2.25}, finished=True) for number in numbers]


class Scraper:
    """Reads the metrics port whenever the search asks whether to stop, until the trials of two slots were shown."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.gauges: dict[tuple[str, str, str], tuple[dict[str, str], float]] = {}
        """By name, slot and trial, which is empty for the gauges of a slot."""

    @property
    def trials(self) -> dict[str, str]:
        """The trials of which every gauge was seen, and their slots."""
        seen = {trial: slot for _, slot, trial in self.gauges if trial}
        gauges = {trial: (("step", slot, trial), ("objective", slot, trial)) for trial, slot in seen.items()}
        return {trial: seen[trial] for trial, keys in gauges.items() if all(key in self.gauges for key in keys)}

    def __call__(self) -> bool:
        if len(self.trials) < 4:
            for line in scrape().splitlines():
                self._keep(line)
        else:
            (self.storage / "seen").touch()
        return False

    def _keep(self, line: str) -> None:
        found = re.match(r"ray_formulary_trial_(\w+)\{(.*)\} (\S+)$", line)
        if found:
            name, text, value = found.groups()
            labels = dict(re.findall(r'(\w+)="([^"]*)"', text))
            ours = {label: labels[label] for label in ("study", "slot", "trial", "metric") if label in labels}
            self.gauges[name, labels["slot"], labels.get("trial", "")] = (ours, float(value))


def scrape() -> str:
    port = ray.nodes()[0]["MetricsExportPort"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.URLError:
        return ""


def test_gauges_and_log_lines_name_each_trial(logs: Path, tmp_path: Path) -> None:
    inner = {"batch_tokens": (256, 512, 1024), "seed": (0, 1)}
    problem = SearchProblem(
        study="study-7",
        space=Space.build({}, inner, Constraints(), ProxySettings(train_bytes=1000)),
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(),
        scheduler=SchedulerSpec(),
        max_trial_count=6,
        parallel_trial_count=2,
        resources=Resources(stack=2),
        storage=tmp_path,
    )
    events: list[TrialEvent] = []
    scraper = Scraper(tmp_path)
    run_search(problem, [], events.append, scraper, two_ends)

    assert set(scraper.trials) == {"2", "3", "4", "5"}
    for trial, slot in scraper.trials.items():
        here = {"study": "study-7", "slot": slot}
        one = {**here, "trial": trial}
        first = 2 if trial in ("2", "3") else 4
        assert scraper.gauges["number", slot, ""] == (here, first)
        assert scraper.gauges["stack", slot, ""] == (here, 2)
        assert scraper.gauges["step", slot, trial] == (one, 40 + int(trial))
        assert scraper.gauges["objective", slot, trial] == ({**one, "metric": "bits_per_byte"}, 2.5)

    lines = "\n".join(path.read_text() for path in logs.glob("worker-*.err"))
    for number in range(6):
        assert re.search(rf"trial {number} starts: batch_tokens=\d+, seed={number % 2}\n", lines)
        ends = re.findall(rf"trial {number} ends: (.*)", lines)
        real = [end for end in ends if end != "stopped"]  # an actor given up before its first step is stopped
        assert real == ["infeasible: no such device" if number < 2 else "bits_per_byte 2.25 at step 50"]
