"""The key of a job stays what it was in every version before: the same inputs are still the same job."""

from pathlib import Path

import pytest
from sqlalchemy import select

from rankmill.db.corpus.collections import COLLECTIONS, QUERY_SETS, find
from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.records.scorers import Precision, ScorerSpec, WindowEnds
from rankmill.db.runtime.settings import Settings
from rankmill.db.schema.jobs import jobs
from rankmill.db.store.opening import open_store
from rankmill.producer.sources.documents import DocumentLike
from rankmill.producer.sources.file import FileSource
from rankmill.producer.sources.kinds import document_rows, query_rows
from rankmill.producer.sources.stored import Collection, QuerySet
from rankmill.producer.submission.inputs import Inputs, JobOptions, inputs_from
from rankmill.producer.submission.record import RecordedJob, record
from rankmill.producer.submission.sync import sync

OF_0_1_0 = ScorerSpec(model="null")
WITH_WINDOWS = ScorerSpec(
    model="null",
    precision=Precision.FP32,
    window=96,
    stride=48,
    window_ends=WindowEnds.BOUNDARIES,
)
SCORERS = (OF_0_1_0, WITH_WINDOWS)
DOCUMENTS: list[DocumentLike] = [{"id": "d1", "title": "One", "text": " first document"}, (2, "second")]
QUERIES = {"q1": "which?", "q2": "what?"}
CANDIDATES = {"q1": ["d1"], "q2": ["2"]}
# Computed by the version before sources had a protocol.
KEYS = {
    "files": (
        "1e0289c54642879628dc6a9b20daa99756b71f418ab1a6badbad717c920db47a",
        "b82395e7092100d2ec2f624352ce1fc80ef9b428e9361f2ab861b66aa26629f5",
    ),
    "files, all pairs": (
        "efba62fbdf598088d0506e30d18fe11e4570e98acc0c7b03477a8b8a4f08159e",
        "90c31c3f8280d292f9e356c1c1655f35bc202e9c14b1f6558646b9d0d8443ea9",
    ),
    "values": (
        "2b049e66c26b2177a5107e77364a8ece2f4186bcc39f21ec5dd25568666b0576",
        "8a2af0ca6da16ced5c9d407281ee0f824b41ee83e6b09cf278b3dea7568a6199",
    ),
    "values, all pairs": (
        "800ede5b6344fcfb496c1338c495b67c1517ae590bfe84530d0c19bc35f618c3",
        "9f8e3cb3b79b49435a533d9be4a436704d399a289992c7653ac7b97ce81dfb43",
    ),
    "sets": (
        "ae5dae6d978845ded8a221e62fbbfa7d64533959358b504cd33305c49e41eb2a",
        "4fdcbad01c8d311c6c9d02578343c12c5a409909d89c4205a0c319cec3de541d",
    ),
    "sets and a file": (
        "501bb124b8d91c27a80f233261af85d8ca780a43cfdd1d4b6f563c880a4231e5",
        "df0cd8851777b2a6233009771325e506b99c0e9e702044f20a924bca5428b85f",
    ),
    "a set, values and a file": (
        "971279ec7879613551373bdf514197ed5714cb0720de6a13c173ae87aa55209f",
        "922a74b809c3c5ff68af11cb019b13dbe47d42341d9147a2812838c8319a9cfb",
    ),
}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Inputs]:
    corpus, queries, run = (tmp_path / name for name in ("corpus.jsonl", "queries.tsv", "run.tsv"))
    corpus.write_text(
        '{"id": "d1", "title": "One", "text": " first document"}\n{"_id": 2, "text": "second"}\n'
    )
    queries.write_text("q1\twhich?\nq2\twhat?\n")
    run.write_text("q1\td1\t0.5\nq2\t2\t0.25\n")
    return {
        "files": inputs_from(corpus, queries, run),
        "files, all pairs": inputs_from(str(corpus), str(queries), None),
        "values": inputs_from(DOCUMENTS, QUERIES, CANDIDATES),
        "values, all pairs": inputs_from(DOCUMENTS, QUERIES, None),
        "sets": inputs_from(Collection("kb"), QuerySet("faq"), None),
        "sets and a file": inputs_from(Collection("kb"), QuerySet("faq"), run),
        "a set, values and a file": inputs_from(Collection("kb"), QUERIES, run),
    }


@pytest.mark.parametrize("kind", KEYS)
def test_the_key_of_each_kind_of_source_is_that_of_the_version_before(
    kind: str, inputs: dict[str, Inputs], sqlite_url: str
) -> None:
    with open_store(sqlite_url) as store:
        sync(store, COLLECTIONS, "kb", document_rows(DOCUMENTS))
        sync(store, QUERY_SETS, "faq", query_rows(QUERIES))
        found = [record(store, inputs[kind], scorer, JobOptions(), Settings()) for scorer in SCORERS]
        with store.reading() as connection:
            keys = {row.id: row.key for row in connection.execute(select(jobs))}
    assert tuple(keys[job.job_id] for job in found) == KEYS[kind]


def test_a_file_of_a_sync_is_known_by_the_digest_of_the_version_before(
    inputs: dict[str, Inputs], sqlite_url: str
) -> None:
    with open_store(sqlite_url) as store:
        sync(store, COLLECTIONS, "kb", document_rows(inputs["files"].documents.label))
        digest = find(store, COLLECTIONS, "kb").source_digest
    assert digest == "1:56bad3bf8be60ae590b723e3b46b0578f88117ff7dee23f981d9b98ef6db0b91"


@pytest.mark.parametrize("kind", ["files", "sets", "sets and a file"])
def test_a_job_whose_inputs_are_known_is_found_without_reading_them(
    kind: str, inputs: dict[str, Inputs], sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit() -> RecordedJob:
        return record(store, inputs[kind], OF_0_1_0, JobOptions(), Settings())

    with open_store(sqlite_url) as store:
        sync(store, COLLECTIONS, "kb", document_rows(DOCUMENTS))
        sync(store, QUERY_SETS, "faq", query_rows(QUERIES))
        first = submit()
        for opened in (FileSource, Collection, QuerySet):
            monkeypatch.setattr(opened, "enter", None)
        again = submit()
        assert (again.job_id, again.is_new) == (first.job_id, False)
        assert len(list_job_progress(store)) == 1
