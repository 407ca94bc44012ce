"""Where a contestant's packages are: an interpreter of its own environment, or this one.

`benchmarks/peers.sh` makes the environments; one that could not be made leaves the reason beside it.
"""

import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ENVIRONMENTS = Path(__file__).parent.parent / ".environments"


class NotInstalledHere(Exception):
    """No interpreter has the package; says why."""


def find_python(package: str, environment: str | None, given: Mapping[str, str]) -> str:
    """The interpreter that imports `package`: one given for the environment, else the environment's, else
    this one. Raises NotInstalledHere.
    """
    candidates = [sys.executable]
    if environment is not None:
        candidates.insert(0, str(ENVIRONMENTS / environment / "bin" / "python"))
        if environment in given:
            candidates = [given[environment]]
    for python in candidates:
        if Path(python).exists() and _has(python, package):
            return python
    raise NotInstalledHere(_reason(environment))


@cache
def _has(python: str, package: str) -> bool:
    question = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([python, "-c", question], capture_output=True).returncode == 0


def _reason(environment: str | None) -> str:
    note = ENVIRONMENTS / f"{environment}.failed"
    if note.exists():
        return f"did not install: {note.read_text().strip()}"
    return "not installed here; benchmarks/peers.sh installs it"
