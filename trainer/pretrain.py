"""The full run: what an export wrote, trained by the proxy's loop, with checkpoints from which it resumes exactly.

On several processes each calls ``pretrain`` with its world; the data, and so the losses up to rounding, depend on the
batch alone and not on their number, which may change from one start to the next.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from model.errors import InvalidInput
from model.llama_weights import read_weights
from trainer.cache import named_write_errors
from trainer.checkpoints.state import has_checkpoint, latest_checkpoint, restore
from trainer.checkpoints.writer import CheckpointWriter
from trainer.config import PretrainConfig
from trainer.curves import Curves
from trainer.describing import describe
from trainer.distillation.architecture import teacher_folder
from trainer.inheritance.full_run import remembered_start, start_of_full_run
from trainer.inheritance.start import Start
from trainer.loop import TrainingRun
from trainer.machine.memory import named_memory_errors
from trainer.machine.precision import resolve_precision
from trainer.model_folders import resolve_models
from trainer.parallel.world import Messages, World, alone
from trainer.plan import check_share
from trainer.results import StepResult
from trainer.run_folder import read_pretrain_config
from trainer.run_key import run_key
from trainer.setup import RunSetup
from trainer.text.corpus import resolve_corpus
from trainer.text.data import PreparedData, prepare

LOCK_SECONDS = 60.0
"""How long a run on several processes waits for the folder: the one before it may be dying (assumed)."""


def pretrain(
    folder: Path,
    storage: Path,
    roots: Sequence[Path],
    max_steps: int | None = None,
    world: World | None = None,
    on_start: Callable[[RunSetup], None] | None = None,
) -> Generator[StepResult, None, None]:
    """Train what ``folder/formulary.json`` describes, from ``folder/checkpoints/latest`` where there is one.

    Args:
        folder: what an export wrote; checkpoints and curves go there.
        storage: where the tokens of corpora are kept.
        roots: folders below which the corpus, a parent and a teacher may lie.
        max_steps: ends the run at that step of the unchanged schedule, counted from the run's beginning.
        world: the processes that train together, each of which calls this and gets all results; this one, if left out.
        on_start: is told how the run was set up, before its first step.

    A checkpoint is written there, at the end, and every ``checkpoint_every_steps``. A run that is already that far
    yields nothing.

    Raises:
        InvalidInput: the document or a file it names cannot be used, or another process trains in the folder.
        TrainingDiverged: the loss is not finite, or at an evaluation far above that of a uniform guess.
        WriteFailed: a checkpoint could not be written; those before stay.
        OtherFailed: another process of the world gave up.
    """
    if max_steps is not None and max_steps < 1:
        raise InvalidInput("max_steps", f"{max_steps} is not positive", "give at least 1")
    world = world or alone()
    messages = Messages(world)
    with messages.agreement():
        config = read_pretrain_config(folder)
        config = config.model_copy(update={"corpus": resolve_corpus(config.corpus, roots, "pretrain.corpus")})
        config = resolve_models(config, roots, storage, started=has_checkpoint(folder))
        check_share(config, world.size)
    with _locked_by_first(folder, world, messages), named_memory_errors():
        data = _prepare(folder, config, storage, world, messages)
        with messages.agreement():
            config_key = _config_key(config, data)
        messages.check_same(
            config_key,
            "DIR",
            f"the processes do not find the same files in {folder}",
            "use storage that all nodes share",
        )
        precision = messages.first(resolve_precision(config.precision, world.device))  # a timing may differ
        config = config.model_copy(update={"precision": precision})
        run = _start_or_resume(folder, config, data, config_key, storage, world, messages)
        yield from _train(folder, config, run, config_key, max_steps, on_start)


@contextmanager
def locked(folder: Path, seconds: float = 0.0) -> Iterator[None]:
    """Keep other runs out of a folder.

    Raises:
        InvalidInput: a run is there, for longer than ``seconds``, or ``checkpoints`` is a link.
        WriteFailed: the folder cannot be made.
    """
    checkpoints = folder / "checkpoints"
    if checkpoints.is_symlink():
        raise InvalidInput("checkpoints", f"{checkpoints} is a link", "replace it by a folder")
    with named_write_errors(checkpoints):
        checkpoints.mkdir(exist_ok=True)
    try:
        with FileLock(checkpoints / ".lock", timeout=seconds):
            yield
    except Timeout as error:
        raise InvalidInput("checkpoints", f"another process trains in {folder}", "wait for it or stop it") from error


@contextmanager
def _locked_by_first(folder: Path, world: World, messages: Messages) -> Iterator[None]:
    """The first process holds the lock for all."""
    with ExitStack() as stack:
        with messages.agreement():
            if world.rank == 0:
                stack.enter_context(locked(folder, 0.0 if world.size == 1 else LOCK_SECONDS))
        yield


def _prepare(folder: Path, config: PretrainConfig, storage: Path, world: World, messages: Messages) -> PreparedData:
    """The corpus as tokens, which the first process makes and the others find."""

    def prepared() -> PreparedData:
        tokenizer = _inside(folder, config.tokenizer, "pretrain.tokenizer")
        size = config.architecture.vocabulary_size
        return prepare(config.corpus, size, config.validation_bytes, storage, tokenizer, field="pretrain.corpus")

    with messages.agreement():
        data = prepared() if world.rank == 0 else None
    with messages.agreement():
        return data or prepared()


def _train(
    folder: Path,
    config: PretrainConfig,
    run: TrainingRun,
    config_key: str,
    max_steps: int | None,
    on_start: Callable[[RunSetup], None] | None,
) -> Generator[StepResult, None, None]:
    last = min(run.plan.steps, max_steps or run.plan.steps)
    if run.progress.step >= last:
        return
    setup = describe(run)
    if on_start is not None:
        on_start(setup)
    checkpoints = CheckpointWriter(folder / "checkpoints", run, config_key)
    curves = Curves(folder / "tensorboard", setup) if run.world.rank == 0 else None
    try:
        for result in run.results(last):
            if curves is not None:
                curves.add(result)
            if not result.annealed and (result.finished or result.step % config.checkpoint_every_steps == 0):
                if curves is not None:
                    curves.flush()
                checkpoints.save()
            if result.finished:
                checkpoints.finish()
            checkpoints.check()
            yield result
    finally:
        checkpoints.close()
        if curves is not None:
            curves.close()


def _start_or_resume(
    folder: Path,
    config: PretrainConfig,
    data: PreparedData,
    config_key: str,
    storage: Path,
    world: World,
    messages: Messages,
) -> TrainingRun:
    with messages.agreement():
        found = latest_checkpoint(folder / "checkpoints")
    if found is None:
        start = start_of_full_run(folder, config, data, storage, world, messages)
        with messages.agreement():
            return _start(folder, config, data, start, world)
    with messages.agreement():
        checkpoint, state = found
        if state.config_key != config_key:
            reason = f"{checkpoint} was written under another config, corpus or tokenizer"
            raise InvalidInput("checkpoints", reason, "restore them, or remove the checkpoints folder to start again")
        run = TrainingRun(config.model_copy(update={"precision": state.precision}), data, world=world)
        restore(run, checkpoint, state)
        if config.inheritance is not None:
            run.members[0].start = remembered_start(folder, config, storage)
        return run


def _start(folder: Path, config: PretrainConfig, data: PreparedData, start: Start | None, world: World) -> TrainingRun:
    run = TrainingRun(config, data, world=world)
    run.start_from([start])
    if start is None and config.initial_weights is not None:
        _load_initial(run, _inside(folder, config.initial_weights, "pretrain.initial_weights"))
    return run


def _load_initial(run: TrainingRun, path: Path) -> None:
    run.single.start_from(0, read_weights([path], run.single.network))


def _config_key(config: PretrainConfig, data: PreparedData) -> str:
    """Of everything that determines the losses; of a teacher it is the content, wherever its folder lies."""
    manifest, told = data.manifest, config.distillation
    teacher = [] if told is None else [teacher_folder(told.teacher, config.architecture.sequence_length).fingerprint()]
    return run_key(config, [manifest.corpus_fingerprint, manifest.tokenizer_fingerprint, *teacher])


def _inside(folder: Path, name: str, field: str) -> Path:
    """Return the real path of a file that the document names."""
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a NUL
        inside = False
    if not inside:
        raise InvalidInput(field, f"{name!r:.200} is no file in {folder}", "put the file into the folder")
    return path
