"""What a slot shows in the Ray dashboard, read where Ray offers it: on the metrics port and in the actor's log."""

import re
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from search.events import TrialEvent
from search.parameters import Constraints
from search.problem import (
    Objective,
    Report,
    Resources,
    SamplerSpec,
    SchedulerSpec,
    SearchProblem,
    TrialImpossible,
    TrialRequest,
)
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


def two_ends(request: TrialRequest) -> Iterator[Report]:
    """Trial 0 is infeasible; the others evaluate until the test has seen their gauges."""
    if request.number == 0:
        raise TrialImpossible("no such\ndevice")
    deadline = time.monotonic() + DEADLINE_S
    yield Report(0, {"validation_loss": 1.0})
    while not (request.storage / "seen").exists() and time.monotonic() < deadline:
        yield Report(40 + request.number, {"bits_per_byte": 2.5})
        time.sleep(0.2)
    yield Report(50, {"bits_per_byte": 2.25}, finished=True)


class Scraper:
    """Reads the metrics port whenever the search asks whether to stop, until both trials were shown."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        self.gauges: dict[tuple[str, str], tuple[dict[str, str], float]] = {}

    @property
    def slots(self) -> list[str]:
        """The slots of which every gauge was seen."""
        names = ("number", "step", "objective")
        return sorted({slot for _, slot in self.gauges if all((name, slot) in self.gauges for name in names)})

    def __call__(self) -> bool:
        if len(self.slots) < 2:
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
            self.gauges[name, labels["slot"]] = (ours, float(value))


def scrape() -> str:
    port = ray.nodes()[0]["MetricsExportPort"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.URLError:
        return ""


def test_gauges_and_log_lines_name_the_trial(logs: Path, tmp_path: Path) -> None:
    problem = SearchProblem(
        study="study-7",
        space=Space.build({}, {"seed": (0, 1, 2)}, Constraints(), ProxySettings(train_bytes=1000)),
        objective=Objective(metric="bits_per_byte"),
        sampler=SamplerSpec(),
        scheduler=SchedulerSpec(),
        max_trial_count=3,
        parallel_trial_count=2,
        resources=Resources(),
        storage=tmp_path,
    )
    events: list[TrialEvent] = []
    scraper = Scraper(tmp_path)
    run_search(problem, [], events.append, scraper, two_ends)

    assert {int(scraper.gauges["number", slot][1]) for slot in scraper.slots} == {1, 2}
    for slot in scraper.slots:
        number = int(scraper.gauges["number", slot][1])
        here = {"study": "study-7", "slot": slot}
        assert scraper.gauges["number", slot][0] == here
        assert scraper.gauges["step", slot] == ({**here, "trial": str(number)}, 40 + number)
        assert scraper.gauges["objective", slot] == (
            {**here, "trial": str(number), "metric": "bits_per_byte"},
            2.5,
        )

    lines = "\n".join(path.read_text() for path in logs.glob("worker-*.err"))
    assert "trial 0 ends: infeasible: no such device\n" in lines
    for number in (0, 1, 2):
        assert f"trial {number} starts: seed={number}\n" in lines
        ends = re.findall(rf"trial {number} ends: (.*)", lines)
        assert len([end for end in ends if end != "stopped"]) == 1  # an actor given up before its first step is stopped
    for number in (1, 2):
        assert f"trial {number} ends: bits_per_byte 2.25 at step 50\n" in lines
