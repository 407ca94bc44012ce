"""The `rankmill` command as a person runs it: a process of its own, in a folder of the test's."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

import psutil
import pytest

from rankmill.db.errors import StoreError
from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.records.jobs import JobProgress
from rankmill.db.store.opening import open_store
from rankmill.producer.command_line.application import main
from rankmill.producer.processes.scratch_folder import PREFIX
from tests.support.waiting import wait_until

PROGRAM = Path(sys.executable).with_name("rankmill")
TIMEOUT_S = 120


class Rankmill:
    """Runs the command in `folder`, with a store there and none of the developer's settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store_url = f"sqlite:///{folder / 'store.db'}"
        # Short: below a long path a run would put its socket elsewhere.
        self.temporary = Path(tempfile.mkdtemp(prefix="rm-"))
        weakref.finalize(self, shutil.rmtree, self.temporary, ignore_errors=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "COLUMNS": "120",
            "HF_HUB_OFFLINE": "1",
            "RANKMILL_STORE": self.store_url,
        }

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Starts the command, its outputs piped."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __call__(
        self, *arguments: str, exit_code: int = 0, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Runs the command to its end and checks its exit code; nothing it says may be a traceback."""
        process = self.start(*arguments, **environment)
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            out, err = process.communicate()
            raise AssertionError(f"{arguments} did not end in {TIMEOUT_S} s:\n{out}\n{err}") from None
        said = f"rankmill {' '.join(arguments)}\n-- stdout\n{out}\n-- stderr\n{err}"
        assert process.returncode == exit_code, f"exit code {process.returncode}, not {exit_code}: {said}"
        assert "Traceback" not in out + err, said
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def jobs(self) -> list[JobProgress]:
        """The jobs in the store; none when there is no store."""
        try:
            with open_store(self.store_url) as store:
                return list_job_progress(store)
        except StoreError:
            return []

    def private_folders(self) -> list[Path]:
        """What runs have left in the temporary folder: sockets and logs of runs that still go on."""
        return list(self.temporary.glob(f"{PREFIX}*"))


def in_process(*arguments: str) -> int:
    """Runs the command inside the test's own process, many times faster; returns its exit code."""
    with patch.object(sys, "argv", ["rankmill", *arguments]), pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def write_inputs(folder: Path, *, num_documents: int, num_queries: int, num_words: int = 20) -> list[str]:
    """A corpus and queries in `folder`; returns the flags that name them, all pairs, for the null scorer."""
    words = "the supplier shall deliver the goods without delay "
    with (folder / "corpus.jsonl").open("w") as corpus:
        for number in range(num_documents):
            text = f"Clause {number}. " + words * (num_words // 8)
            corpus.write(json.dumps({"id": f"d{number}", "text": text}) + "\n")
    queries = "".join(f"q{number}\twhat does clause {number} say?\n" for number in range(num_queries))
    (folder / "queries.tsv").write_text(queries)
    return ["--corpus", "corpus.jsonl", "--queries", "queries.tsv", "--all-pairs", "--model", "null"]


def tree_of(pid: int) -> list[psutil.Process]:
    """The process and everything below it."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_tree(pid: int) -> None:
    for process in tree_of(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def wait_until_gone(processes: Iterable[psutil.Process], timeout_s: float = 30) -> None:
    """Fails unless all of them end; a killed child waiting for its parent to notice counts as ended."""
    watched = list(processes)
    wait_until(lambda: not any(map(_is_alive, watched)), timeout_s, f"the end of {watched}")


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
