"""Try an export with a framework's own classes where they can be imported, else against its documentation."""

from dataclasses import dataclass
from pathlib import Path

from studies.exports.run import Run
from studies.exports.smoke.child import run_check
from studies.exports.smoke.counting import check_count
from studies.exports.smoke.result import SmokeTest
from trainer.machine.software import installed_versions


@dataclass(frozen=True, slots=True)
class Documented:
    """What was read against a framework's documentation."""

    software: str
    done: str
    parameters: int
    """As the written config counts them."""

    def instead(self, why: str) -> SmokeTest:
        """The smoke test where the framework's own classes are not there."""
        return SmokeTest(
            method="schema", software=self.software, done=(self.done,), left_out=(why,), parameters=self.parameters
        )


def try_framework(name: str, check: str, run: Run, folder: Path, documented: Documented, *arguments: int) -> SmokeTest:
    """Count the parameters, and load the export in a process of its own.

    Args:
        name: the framework's name and its distribution's.
        check: the module that is run there, with ``folder`` and ``arguments``.
        run: the recipe's run.
        folder: the export.
        documented: what holds if the framework cannot be imported.
        arguments: of the check.

    Raises:
        SmokeTestFailed: something does not fit.
    """
    check_count(name, documented.parameters, run.config.architecture)
    version = installed_versions([name]).get(name)
    if version is None:
        return documented.instead(f"{name} is not installed on the machine that wrote this.")
    checked = run_check(name, check, folder, *arguments)
    if not checked.importable:
        return documented.instead(f"{name} {version} is installed, but {' '.join(checked.left_out)}")
    check_count(name, checked.parameters, run.config.architecture)
    return SmokeTest(
        method="loading",
        software=f"{name} {version}",
        done=checked.done,
        left_out=checked.left_out,
        parameters=checked.parameters,
    )
