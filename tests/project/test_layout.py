"""Rooms stay small, files too, and rooms import each other in one direction only."""

import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.support.repository import ROOT

SOURCE_FOLDERS = ["db", "producer", "worker", "tests", "benchmarks", "docs", "examples", "training", ".ci"]
SOURCE_ENDINGS = {".py", ".sh", ".mako", ".yml", ".toml", ""}
MAX_LINES = 300
MAX_MEDIAN_LINES = 100
MAX_FILES = 12


def sources() -> list[Path]:
    found = [path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*")]
    found += [ROOT / name for name in ("Makefile", "Dockerfile", "docker-compose.yml", "pyproject.toml")]
    return [path for path in found if is_ours(path) and path.is_file() and path.suffix in SOURCE_ENDINGS]


def is_ours(path: Path) -> bool:
    """Not in a folder that a benchmark made, such as the peers' environments."""
    inner = path.relative_to(ROOT).parts[1:-1]
    return not any(part.startswith(".") for part in inner)


def test_no_source_file_has_more_than_300_lines() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_bytes().splitlines()) for path in sources()}
    assert len(lengths) > 20
    assert {str(path): length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_no_folder_has_more_than_12_files() -> None:
    """A listing is read as a flow only while it is short. Revisions of the schema only grow in number."""
    modules = [path for path in sources() if path.suffix == ".py" and path.name != "__init__.py"]
    numbers = Counter(path.parent.relative_to(ROOT) for path in modules if "versions" not in path.parts)
    assert len(numbers) > 20
    assert {str(folder): number for folder, number in numbers.items() if number > MAX_FILES} == {}


def test_half_of_the_files_have_at_most_100_lines() -> None:
    rooms = ("db", "producer", "worker")
    lengths = [
        len(path.read_bytes().splitlines())
        for path in sources()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in rooms
    ]
    assert statistics.median(lengths) <= MAX_MEDIAN_LINES


def test_import_contracts_hold() -> None:
    lint_imports = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
