"""Log files of a home, which never grow beyond a size."""

import logging
import shutil
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_LOG_BYTES = 10 * 2**20
"""Size at which a log is set aside, in bytes (assumed); one older log of each is kept."""
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to(path: Path) -> None:
    """Let this process log into ``path``, and its errors to standard error too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=1, encoding="utf-8")
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.ERROR)
    logging.basicConfig(level=logging.INFO, format=FORMAT, handlers=[file, terminal])


def cap(path: Path) -> None:
    """Set the log aside when it is too long, while another process goes on appending to it."""
    if path.stat().st_size > MAX_LOG_BYTES:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        with path.open("r+b") as file:
            file.truncate(0)
