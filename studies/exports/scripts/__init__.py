"""Scripts that are copied into exports as they are: constant text, which reads what differs from files beside it.

They import nothing of Formulary, because they run where it need not be installed.
"""

from pathlib import Path


def copy_script(name: str, folder: Path) -> None:
    """Copy the script ``name`` of this package into an export."""
    (folder / name).write_bytes((Path(__file__).parent / name).read_bytes())
