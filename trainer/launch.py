"""Starts a full run on several processes through Ray Train, and starts them again where one is lost.

Each process calls ``trainer.pretrain.pretrain``; what the first one gets is sent here. Ray Train keeps no state of the
run: the checkpoints are ours, and processes that start again go on from the latest of them.
"""

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device

from model.errors import FormularyError, InvalidInput
from trainer.checkpoints.state import has_checkpoint, latest_checkpoint
from trainer.model_folders import resolve_models
from trainer.parallel.messages import OtherFailed, as_error, as_text
from trainer.parallel.world import current_world
from trainer.plan import check_share
from trainer.pretrain import locked, pretrain
from trainer.results import StepResult
from trainer.run_folder import read_pretrain_config
from trainer.setup import RunSetup
from trainer.text.corpus import resolve_corpus

STARTS_IN_VAIN = 5
"""Starts in a row without a further checkpoint after which a run is given up (assumed, as for the jobs of a study)."""
SENDING_S = 0.25
"""Longest time that a result waits in the first process for others to be sent with it (assumed)."""
MOST_FAILURES = 1000
"""Lost starts after which Ray gives up, those included that die before they say anything (assumed)."""
WAITING_S = 30.0
"""How long Ray may take to start the processes before the command says that it waits (assumed; 5 s measured)."""
LOOKING_S = 0.2
"""Pause between two looks for what was sent (assumed)."""
COLLECTIVE_S = 1800
"""How long a step's collective call may take (assumed: Ray's own; an evaluation is the longest wait)."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A process ended by an error that is nobody's refusal, such as a lost connection; it is started again."""

    said: str


Said = StepResult | RunSetup | Broken | str | int
"""What processes send. The first one: results, how it was set up, or the step from which it starts; any: a refusal as
text, or what broke it."""


@dataclass(frozen=True, slots=True)
class Processes:
    """How many processes train, and on what."""

    count: int
    on_gpus: bool
    """One GPU each; else each has the CPU threads of the config."""


@dataclass
class _Starts:
    """Counts the starts that have brought no further checkpoint."""

    step: int = -1
    in_vain: int = 0
    broken: str = "they were killed"
    """What was said last."""

    def add(self, step: int) -> None:
        if step <= self.step and self.in_vain >= STARTS_IN_VAIN:
            reason = f"its processes were lost {STARTS_IN_VAIN} times in a row before a checkpoint beyond step {step}"
            raise OtherFailed(f"the run was given up: {reason}; the last time: {self.broken}")
        self.in_vain = 1 if step > self.step else self.in_vain + 1
        self.step = step


class _Mailbox:
    """Lives beside the command that started the run and outlasts the processes."""

    def __init__(self) -> None:
        self._said: list[Said] = []

    def put(self, said: list[Said]) -> None:
        self._said += said

    def take(self) -> list[Said]:
        said, self._said = self._said, []
        return said


@dataclass
class _Sender:
    """Sends what the first process says, results together."""

    mailbox: Any
    _waiting: list[Said] = field(default_factory=list)
    _sent: float = 0.0

    def say(self, said: Said, at_once: bool = True) -> None:
        self._waiting.append(said)
        if at_once or time.monotonic() - self._sent > SENDING_S:
            ray.get(self.mailbox.put.remote(self._waiting))
            self._waiting, self._sent = [], time.monotonic()


def launch(
    folder: Path,
    storage: Path,
    roots: Sequence[Path],
    max_steps: int | None,
    processes: Processes,
    on_start: Callable[[RunSetup], None] | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Generator[StepResult, None, None]:
    """Train as ``trainer.pretrain.pretrain`` does, on several processes of the Ray that this process is connected to.

    After a process was lost the steps since the latest checkpoint are made, and yielded, again; ``on_start`` is told of
    each start, ``on_wait`` what is free while Ray cannot start the processes. The run ends with the connection.

    Raises:
        InvalidInput: the folder cannot be used, the batch cannot be shared, or Ray has not what is asked for.
        TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
        OtherFailed: the processes were lost again and again, or Ray gave up.
    """
    folder, storage = folder.absolute(), storage.absolute()
    _check(folder, storage, roots, processes)
    mailbox = ray.remote(num_cpus=0)(_Mailbox).remote()
    arguments = {
        "folder": str(folder),
        "storage": str(storage),
        "roots": [str(root.absolute()) for root in roots],
        "max_steps": max_steps,
        "mailbox": mailbox,
    }
    name = f"run-{uuid.uuid4().hex}"
    records = storage / "ray-train"
    try:
        fitting = _Fitting(_trainer(processes, arguments, RunConfig(name=name, storage_path=str(records))))
        yield from _follow(mailbox, fitting, processes, on_start, on_wait)
    finally:
        shutil.rmtree(records / name, ignore_errors=True)


def _check(folder: Path, storage: Path, roots: Sequence[Path], processes: Processes) -> None:
    """Refuse what would fail in every process, before one is started."""
    if processes.count < 1:
        raise InvalidInput("processes", f"{processes.count} is not positive", "give at least 1")
    config = read_pretrain_config(folder)
    resolve_corpus(config.corpus, roots, "pretrain.corpus")
    resolve_models(config, roots, storage, started=has_checkpoint(folder))
    check_share(config, processes.count)
    with locked(folder):
        pass
    found = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for resource, each in _resources(processes, config.threads).items():
        there = int(found.get(resource, 0))
        if there < each * processes.count:
            reason = f"{processes.count} processes need {each * processes.count} {resource}s, and Ray has {there}"
            raise InvalidInput(
                "gpus" if resource == "GPU" else "processes", reason, "ask for fewer, or add nodes to Ray"
            )


def _resources(processes: Processes, threads: int) -> dict[str, int]:
    return {"CPU": 1, "GPU": 1} if processes.on_gpus else {"CPU": threads}


def _trainer(processes: Processes, arguments: dict[str, Any], run: RunConfig) -> TorchTrainer:
    threads = read_pretrain_config(Path(arguments["folder"])).threads
    run.failure_config = FailureConfig(max_failures=MOST_FAILURES)  # _Starts gives up those that said where they start
    return TorchTrainer(
        _work,
        train_loop_config=arguments,
        torch_config=TorchConfig("nccl" if processes.on_gpus else "gloo", timeout_s=COLLECTIVE_S),
        scaling_config=ScalingConfig(
            num_workers=processes.count,
            use_gpu=processes.on_gpus,
            resources_per_worker=_resources(processes, threads),
        ),
        run_config=run,
    )


class _Fitting:
    """Ray Train's controller, waited for in a thread: this one reads what is sent meanwhile."""

    def __init__(self, trainer: TorchTrainer) -> None:
        self._trainer = trainer
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._fit, daemon=True)
        self._thread.start()

    def _fit(self) -> None:
        try:
            self._trainer.fit()
        except Exception as error:  # noqa: BLE001 (it is raised again where it can be told)
            self.error = error

    def ended(self) -> bool:
        self._thread.join(LOOKING_S)
        return not self._thread.is_alive()


def _follow(
    mailbox: Any,
    fitting: _Fitting,
    processes: Processes,
    on_start: Callable[[RunSetup], None] | None,
    on_wait: Callable[[str], None] | None,
) -> Generator[StepResult, None, None]:
    starts, patient_until = _Starts(), time.monotonic() + WAITING_S
    ended = False
    while not ended:
        ended = fitting.ended()
        for said in ray.get(mailbox.take.remote()):
            patient_until = time.monotonic() + WAITING_S if isinstance(said, Broken) else float("inf")
            if isinstance(said, StepResult):
                yield said
            else:
                _heed(said, starts, on_start)
        if on_wait is not None and time.monotonic() > patient_until:
            on_wait(_what_is_free(processes))
            patient_until = float("inf")
    if fitting.error is not None:
        said = " ".join(str(fitting.error).split())
        raise OtherFailed(f"Ray Train gave up: {said[-1000:]}") from fitting.error


def _heed(said: RunSetup | Broken | str | int, starts: _Starts, on_start: Callable[[RunSetup], None] | None) -> None:
    match said:
        case RunSetup():
            if on_start is not None:
                on_start(said)
        case Broken():
            starts.broken = said.said
        case int():
            starts.add(said)
        case str():
            raise as_error(said)


def _what_is_free(processes: Processes) -> str:
    resource = "GPU" if processes.on_gpus else "CPU"
    free = ray.available_resources().get(resource, 0)  # type: ignore[no-untyped-call]
    return f"waiting for Ray to start {processes.count} processes; {free:g} {resource}s are free"


def _work(arguments: dict[str, Any]) -> None:
    """What each process does; a refusal is sent and ends it in order, so that Ray does not start it again."""
    sender = _Sender(arguments["mailbox"])
    try:
        world = current_world(get_device())
        folder = Path(arguments["folder"])
        first = world.rank == 0
        if first:
            found = latest_checkpoint(folder / "checkpoints")
            sender.say(0 if found is None else found[1].step)
        roots = [Path(root) for root in arguments["roots"]]
        on_start = sender.say if first else None
        for result in pretrain(folder, Path(arguments["storage"]), roots, arguments["max_steps"], world, on_start):
            if first:
                sender.say(result, at_once=result.evaluation is not None or result.finished)
    except FormularyError as error:
        sender.say(as_text(error))
    except Exception as error:
        sender.say(Broken(f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"))
        raise
