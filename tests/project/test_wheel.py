"""The wheel is complete: installed elsewhere, away from the tree, it runs the demonstration.

The new environment sees the packages Rankmill depends on through a .pth file, so no index is asked.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.repository import ROOT, declared_version

NOT_SOURCE = [".*", "__pycache__", "*.egg-info", "build", "dist", "node_modules"]


def run(*command: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """Run `command`, demand that it ends well, and return its standard output."""
    ended = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert ended.returncode == 0, f"{command} ended with {ended.returncode}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tree: building leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"),
        *("--wheel-dir", folder, tree),
        cwd=folder,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment_folder(wheel: Path) -> Path:
    """A new virtual environment with the wheel in it, and our dependencies within its sight."""
    folder = wheel.parent / "elsewhere"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-deps", "--no-index", wheel),
        cwd=wheel.parent,
    )
    place = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site_packages = Path(run(python, "-c", place, cwd=wheel.parent).strip())
    ours = sorted({sysconfig.get_paths()[name] for name in ("purelib", "platlib")})
    (site_packages / "dependencies.pth").write_text("\n".join(ours) + "\n")
    return folder


@pytest.fixture
def empty_environment(tmp_path: Path) -> dict[str, str]:
    """Environment variables of a person who has set nothing, at home in an empty folder."""
    home = tmp_path / "home"
    home.mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "HF_HUB_OFFLINE": "1"}


def test_the_wheel_has_all_it_needs_and_nothing_foreign(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = f"rankmill-{declared_version()}.dist-info"
    assert {name.split("/")[0] for name in names} == {"rankmill", metadata}
    assert "rankmill/py.typed" in names
    assert f"{metadata}/licenses/LICENSE" in names

    tree = wheel.parent / "tree"
    for package in ("db", "producer", "worker"):
        sources = {f"rankmill/{path.relative_to(tree).as_posix()}" for path in (tree / package).rglob("*.py")}
        assert sources <= names, f"missing in the wheel: {sorted(sources - names)}"
    model = tree / "worker" / "models" / "demo"
    files = {f"rankmill/{path.relative_to(tree).as_posix()}" for path in model.rglob("*") if path.is_file()}
    assert files, "the demonstration model is not in the tree"
    assert files <= names, f"missing in the wheel: {sorted(files - names)}"
    assert any(name.startswith("rankmill/db/migrations/versions/") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".env", ".log"))]


def test_the_installed_command_says_its_version(
    environment_folder: Path, empty_environment: dict[str, str], tmp_path: Path
) -> None:
    printed = run(
        environment_folder / "bin" / "rankmill", "--version", cwd=tmp_path, environment=empty_environment
    )
    assert declared_version() in printed


def test_the_installed_packages_are_the_wheel_s_and_not_the_tree_s(
    environment_folder: Path, empty_environment: dict[str, str], tmp_path: Path
) -> None:
    ask = "from rankmill import db, producer, worker; print(db.__file__, producer.__file__, worker.__file__)"
    printed = run(
        environment_folder / "bin" / "python", "-c", ask, cwd=tmp_path, environment=empty_environment
    )
    for place in printed.split():
        assert Path(place).is_relative_to(environment_folder), place


def test_the_installed_command_ranks_documents_with_the_demonstration_model(
    environment_folder: Path, empty_environment: dict[str, str], tmp_path: Path
) -> None:
    corpus = [
        {"_id": "lease", "text": "Either party may terminate this lease on ninety days' written notice."},
        {"_id": "menu", "text": "Tonight: soup of roasted pumpkin, then trout with almonds and dill."},
    ]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in corpus))
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "notice to terminate"}) + "\n")
    run(
        *(environment_folder / "bin" / "rankmill", "run"),
        *("--corpus", "corpus.jsonl", "--queries", "queries.jsonl", "--all-pairs"),
        *("--model", "demo", "--output", "out.jsonl"),
        cwd=tmp_path,
        environment=empty_environment,
    )
    results = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(result["rank"], result["document_id"]) for result in results] == [(1, "lease"), (2, "menu")]
    assert all(0 <= result["score"] <= 1 for result in results)
    assert (tmp_path / "home" / ".local" / "share" / "rankmill" / "rankmill.db").exists()
