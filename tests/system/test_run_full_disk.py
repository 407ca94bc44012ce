"""A disk that fills up while a run scores ends it with words; with room again the same command goes on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankmill.db.errors import StoreReadOnly
from rankmill.db.maintenance.disk_space import note_watched
from rankmill.db.records.scorers import ScorerSpec, WindowEnds
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.producer.submission.inputs import JobOptions, inputs_from
from rankmill.producer.submission.record import record
from tests.db.store.test_trouble import with_session
from tests.support.jobs.small_jobs import submit
from tests.support.jobs.store_rows import rows
from tests.support.processes.rankmill_command import Rankmill, write_inputs


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may make a small disk here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_with_room_it_goes_on(tmp_path: Path, small_disk: Path) -> None:
    rankmill = Rankmill(tmp_path)
    rankmill.environment["RANKMILL_STORE"] = url = f"sqlite:///{small_disk / 'store.db'}"
    flags = write_inputs(tmp_path, num_documents=300, num_queries=200)
    inputs = inputs_from(corpus=tmp_path / "corpus.jsonl", queries=tmp_path / "queries.tsv", candidates=None)
    with open_store(url, create=True) as store:
        record(
            store,
            inputs,
            ScorerSpec(model="null", window_ends=WindowEnds.BOUNDARIES),
            JobOptions(),
            Settings(),
        )
    with (small_disk / "ballast").open("wb") as ballast:
        ballast.write(bytes(shutil.disk_usage(small_disk).free - 2 * 2**20))
    said = rankmill("run", *flags, "--output", "out.jsonl", exit_code=4).stderr
    assert "job 1: 200 queries, 300 documents, 60,000 pairs" in said
    assert "is full" in said
    assert "Free space" in said
    assert rankmill.private_folders() == []
    (small_disk / "ballast").unlink()
    rankmill("run", *flags, "--output", "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 60_000


def test_watching_a_job_shows_that_the_store_can_be_written(store: Store) -> None:
    job_id = submit(store).job_id
    note_watched(store, job_id)
    assert rows(store, "jobs")[0]["watched_at"] is not None
    read_only = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET default_transaction_read_only = on",
    }
    with with_session(store, read_only[store.dialect]), pytest.raises(StoreReadOnly):
        note_watched(store, job_id)
