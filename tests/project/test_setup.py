"""From a clone to an environment: what `make` offers, what it needs, what it says when that is missing."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.repository import ROOT

ENVIRONMENT = ROOT / ".ci" / "environment"


def set_up(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Make an environment in `folder` by the command `python`."""
    command = [ENVIRONMENT, folder / ".venv", folder / ".venv" / ".set-up-1"]
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHON": python}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=120)


def program(folder: Path, text: str) -> str:
    """An executable shell script that stands in for a Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_python_without_ensurepip_is_enough(tmp_path: Path) -> None:
    bare = program(
        tmp_path,
        'case "$*" in *without-pip*) ;; *"-m venv"*|*"-m pip"*|*ensurepip*) exit 1 ;; esac\n'
        f'exec {sys.executable} "$@"',
    )
    made = set_up(tmp_path, bare)
    assert made.returncode == 0, made.stderr
    pip = subprocess.run(
        [tmp_path / ".venv" / "bin" / "pip", "--version"], capture_output=True, text=True, check=True
    )
    assert str(tmp_path) in pip.stdout

    again = set_up(tmp_path, "/nowhere/python")
    assert (again.returncode, again.stdout) == (0, ""), "a working environment is left alone"


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("", "needs Python 3.11 or newer; this machine has none"),
        ("false", "needs Python 3.11 or newer; false is not"),
    ],
)
def test_a_machine_without_a_new_enough_python_is_told_so(tmp_path: Path, python: str, said: str) -> None:
    refused = set_up(tmp_path, python)
    assert refused.returncode == 3
    assert said in refused.stderr
    assert "make PYTHON=" in refused.stderr


def test_a_python_that_makes_no_environments_is_told_what_to_install(tmp_path: Path) -> None:
    refused = set_up(tmp_path, program(tmp_path, f'[ "$1" = -m ] && exit 1; exec {sys.executable} "$@"'))
    assert refused.returncode == 3
    assert "apt install python3-venv" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def test_make_alone_lists_every_target() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"setup", "demo", "test", "lint", "format", "wheel", "bench", "up", "down"} <= {*targets}
    assert re.findall(r"^  make (\S+)", listed, re.MULTILINE) == targets


def test_what_a_change_must_pass_is_lint_and_every_test() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make lint", "make test"]
    assert "set -euo pipefail" in lines


def test_every_direct_requirement_is_pinned_to_what_was_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = {normal(text) for texts in (project["dependencies"], *extras) for text in texts} - {"rankmill"}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert wanted <= {normal(name) for name in pins}, "add the missing pins to constraints.txt"
    assert pins["torch"] == "2.13.0"


def normal(requirement: str) -> str:
    """The name in a requirement, as indexes compare names."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()
