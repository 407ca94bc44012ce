"""A file that changes while it is submitted is refused, whenever the writing came."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.producer.errors import InputError
from rankmill.producer.sources import file
from rankmill.producer.sources.file import content_digest
from rankmill.producer.submission.inputs import JobOptions, inputs_from
from rankmill.producer.submission.record import record


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"id": "late", "text": "written late"}\n')


def replace(path: Path) -> None:
    """Another file of the same size and times takes its place."""
    import os

    status = path.stat()
    other = path.with_name("other")
    other.write_text(path.read_text().replace("one", "two"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [append, replace, Path.unlink])
@pytest.mark.parametrize("is_known", [False, True])
def test_a_write_just_after_the_digest_is_seen(
    change: Callable[[Path], None],
    is_known: bool,
    tmp_path: Path,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus, queries = tmp_path / "corpus.jsonl", tmp_path / "queries.tsv"
    corpus.write_text('{"id": "d1", "text": "one"}\n')
    queries.write_text("q1\twhich?\n")
    inputs = inputs_from(corpus=corpus, queries=queries, candidates=None)

    def digest_then_change(path: Path) -> str:
        found = content_digest(path)
        if path == corpus:
            change(path)
        return found

    with open_store(sqlite_url) as store:
        asked = (store, inputs, ScorerSpec(model="null"), JobOptions(), Settings())
        if is_known:
            record(*asked)
        monkeypatch.setattr(file, "content_digest", digest_then_change)
        with pytest.raises(InputError, match=r"changed while it was read|no such file"):
            record(*asked)
        assert len(list_job_progress(store)) == is_known
