"""Nothing is imported from the current folder, in any process that is started there.

A folder of downloaded texts may hold files named like modules; none of them may be run, nor be in the way.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.processes.rankmill_command import Rankmill, write_inputs
from tests.support.processes.web_page import Site
from tests.support.repository import ROOT
from tests.support.servers.ports import free_port
from tests.support.waiting import wait_until

OURS = {"db", "producer", "worker", "rankmill", "records", "tests"}
READ_BY_NAME = {"celeryconfig", "flowerconfig", "sitecustomize", "usercustomize"}
BESIDE_A_SCRIPT = OURS - {"rankmill"}
SOON_S = 60.0


def lay_traps(folder: Path, names: set[str]) -> Path:
    """Files named like these modules, each of which says so in the file returned when it is run."""
    executed = folder / "EXECUTED"
    for name in names:
        code = f"with open({str(executed)!r}, 'a') as file: file.write({name!r} + '\\n')\n"
        if name == "producer":
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(code)
        else:
            (folder / f"{name}.py").write_text(code)
    return executed


@pytest.fixture
def executed(tmp_path: Path) -> Iterator[Path]:
    """The current folder holds a file for every module there is; none of them was run at the end."""
    there_are = {
        name for name in {*sys.stdlib_module_names, *packages_distributions()} if name.isidentifier()
    }
    file = lay_traps(tmp_path, there_are | OURS | READ_BY_NAME)
    yield file
    assert not file.exists(), f"imported from the current folder: {file.read_text().split()}"


@pytest.fixture
def rankmill(executed: Path, tmp_path: Path) -> Rankmill:
    return Rankmill(tmp_path)


@contextmanager
def started(rankmill: Rankmill, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """A command that goes on, ended softly."""
    process = rankmill.start(*arguments, **environment)
    try:
        yield process
    finally:
        process.terminate()
        out, err = process.communicate(timeout=SOON_S)
        assert "Traceback" not in out + err, out + err


def test_run_and_what_shows_its_job(rankmill: Rankmill, tmp_path: Path) -> None:
    flags = write_inputs(tmp_path, num_documents=2, num_queries=1)[:-1]
    rankmill("run", *flags, "demo", "--output", "out.csv")
    rankmill("status")
    rankmill("results", "1", "--output", "out.parquet")
    rankmill("explain", "1", "q0", "d1")


def test_a_worker_and_its_scoring_process(rankmill: Rankmill, redis_url: str, tmp_path: Path) -> None:
    flags = write_inputs(tmp_path, num_documents=2, num_queries=1)
    rankmill("migrate")
    with started(rankmill, "worker", "--model", "null", RANKMILL_BROKER=redis_url):
        rankmill("submit", *flags, RANKMILL_BROKER=redis_url)
        rankmill("watch", "1", RANKMILL_BROKER=redis_url)


def test_the_beat(rankmill: Rankmill, redis_url: str) -> None:
    rankmill("migrate")
    with started(rankmill, "beat", RANKMILL_BROKER=redis_url) as beat:
        assert beat.stderr is not None
        wait_until(lambda: "store" in beat.stderr.readline(), SOON_S, "the beat to say that it is ready")  # type: ignore[union-attr]


def test_the_monitor(rankmill: Rankmill, redis_url: str) -> None:
    port = free_port()
    environment = {"RANKMILL_FLOWER_AUTH": "ann:correct-horse", "RANKMILL_BROKER": redis_url}
    with started(rankmill, "monitor", "--port", str(port), **environment):
        page = Site(port)
        wait_until(lambda: page.answer("/healthcheck")[0] == 200, SOON_S, "the monitor")


def test_what_is_looked_after_by_hand(rankmill: Rankmill, tmp_path: Path) -> None:
    write_inputs(tmp_path, num_documents=2, num_queries=1)
    rankmill("migrate")
    rankmill("collection", "sync", "kb", "--corpus", "corpus.jsonl")
    rankmill("queryset", "sync", "faq", "--queries", "queries.tsv")
    rankmill("schedule", "list")
    rankmill(
        "doctor",
        "--model",
        "demo",
    )
    rankmill("prune")


def test_the_example_beside_files_named_like_our_rooms(tmp_path: Path) -> None:
    """A script's own folder comes first on Python's path, so names of Python's own are not tried here."""
    file = lay_traps(tmp_path, BESIDE_A_SCRIPT)
    script = tmp_path / "rerank_from_python.py"
    script.write_bytes((ROOT / "examples" / script.name).read_bytes())
    ended = subprocess.run(
        [sys.executable, script, "null"],
        cwd=tmp_path,
        env=Rankmill(tmp_path).environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert not file.exists(), file.read_text()


def test_the_example_in_a_folder_full_of_modules(executed: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, ROOT / "examples" / "rerank_from_python.py", "null"],
        cwd=tmp_path,
        env=Rankmill(tmp_path).environment,
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
