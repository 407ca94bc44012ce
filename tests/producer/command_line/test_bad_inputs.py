"""Bad input ends with code 5, names file, line and remedy, and leaves no job behind, not even half of one."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.store.opening import open_store
from tests.support.processes.rankmill_command import Rankmill, in_process

GOOD = {
    "corpus.jsonl": '{"id": "d1", "text": "one"}\n{"id": "d2", "text": "two"}\n',
    "queries.jsonl": '{"id": "q1", "text": "which?"}\n',
    "run.trec": "q1 Q0 d1 1 2.5 bm25\nq1 Q0 d2 2 1.5 bm25\n",
}


def line_of(name: str, line: bytes) -> Callable[[Path], None]:
    """Appends a line to a file."""

    def spoil(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.write(line + b"\n")

    return spoil


def whole(name: str, content: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return spoil


def missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def directory(folder: Path) -> None:
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl").mkdir()


def cut_short(folder: Path) -> None:
    lines = "".join(
        json.dumps({"id": f"d{number}", "text": f"text {number}"}) + "\n" for number in range(999)
    )
    (folder / "corpus.jsonl").write_bytes(gzip.compress(lines.encode())[:2000])


CASES = {
    "broken JSON": (line_of("corpus.jsonl", b'{"id": "d3", '), "corpus.jsonl, line 3: not valid JSON"),
    "missing field": (line_of("corpus.jsonl", b'{"id": "d3"}'), "corpus.jsonl, line 3: there is no `text`"),
    "wrong type": (line_of("corpus.jsonl", b'{"id": "d3", "text": 7}'), "corpus.jsonl, line 3: `text` is a"),
    "empty text": (line_of("queries.jsonl", b'{"id": "q2", "text": " "}'), "queries.jsonl, line 2: `text`"),
    "duplicate id, same text": (
        line_of("corpus.jsonl", b'{"id": "d1", "text": "one"}'),
        "corpus.jsonl, line 3: document id 'd1' was already on line 1, with the same text. Remove one",
    ),
    "duplicate id, other text": (
        line_of("queries.jsonl", b'{"id": "q1", "text": "what?"}'),
        "queries.jsonl, line 2: query id 'q1' was already on line 1, with a different text. Give each",
    ),
    "candidate of an unknown query": (
        line_of("run.trec", b"q9 Q0 d1 1 2.5 bm25"),
        "run.trec, line 3: candidate names query 'q9', which the query file does not have. Add the query",
    ),
    "candidate of an unknown document": (
        line_of("run.trec", b"q1 Q0 d9 3 0.5 bm25"),
        "run.trec, line 3: candidate names document 'd9', which the document file does not have. Add the",
    ),
    "not UTF-8": (
        line_of("corpus.jsonl", b'{"id": "d3", "text": "caf\xe9"}'),
        "corpus.jsonl, line 3: not UTF-8",
    ),
    "NUL byte": (line_of("corpus.jsonl", b'{"id": "d3", "text": "\0"}'), "corpus.jsonl, line 3: NUL"),
    "a 50 MB line": (
        line_of("corpus.jsonl", b'{"id": "d3", "text": "' + b"x" * 50_000_000 + b'"}'),
        "corpus.jsonl, line 3: the line is longer than",
    ),
    "an empty file": (whole("queries.jsonl", b""), "queries.jsonl: the file is empty"),
    "a directory": (directory, "corpus.jsonl: is a directory"),
    "a missing file": (missing("run.trec"), "run.trec: there is no such file"),
    "a gzip cut short": (cut_short, "the gzip stream is truncated. Copy or compress the file again"),
    "a run file with five columns": (
        whole("run.trec", b"q1 Q0 d1 1 2.5\n"),
        "run.trec, line 1: 5 columns",
    ),
}


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    for name, content in GOOD.items():
        (tmp_path / name).write_text(content)
    files = ["--corpus", "corpus.jsonl", "--queries", "queries.jsonl", "--candidates", "run.trec"]
    return [*files, "--model", "null", "--store", "sqlite:///store.db"]


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_named_and_nothing_is_recorded(
    case: str, inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, said = CASES[case]
    spoil(tmp_path)
    code = in_process("run", *inputs)
    captured = capsys.readouterr()
    assert (code, captured.out) == (5, "")
    assert captured.err.startswith("error: ")
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1, "a person gets one sentence, never a traceback"
    with open_store("sqlite:///store.db", create=True) as store:
        assert list_job_progress(store) == []
        with store.reading() as connection:
            kept = {
                table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
                for table in ("scorers", "job_queries", "job_documents", "pairs", "shards")
            }
    assert set(kept.values()) == {0}


def test_the_same_inputs_without_the_fault_are_good(tmp_path: Path) -> None:
    rankmill = Rankmill(tmp_path)
    for name, content in GOOD.items():
        (tmp_path / name).write_text(content)
    files = ["--corpus", "corpus.jsonl", "--queries", "queries.jsonl", "--candidates", "run.trec"]
    assert len(rankmill("run", *files, "--model", "null", "--output", "-").stdout.splitlines()) == 2


def test_bad_input_in_a_process_of_its_own_has_the_same_ending(tmp_path: Path) -> None:
    rankmill = Rankmill(tmp_path)
    for name, content in GOOD.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "corpus.jsonl").write_text("{\n")
    files = ["--corpus", "corpus.jsonl", "--queries", "queries.jsonl", "--all-pairs"]
    said = rankmill("submit", *files, "--broker", "redis://127.0.0.1:1/0", exit_code=3).stderr
    assert "127.0.0.1:1" in said, "the broker is asked before anything is read"
    said = rankmill("run", *files, "--model", "null", exit_code=5).stderr
    assert said.startswith("error: corpus.jsonl, line 1: not valid JSON")
    assert rankmill.jobs() == []


def test_a_settings_file_that_is_not_utf_8_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"RANKMILL_MODEL=caf\xe9\n")
    assert in_process("status") == 2
    assert f"{tmp_path / '.env'} is not UTF-8 text" in capsys.readouterr().err
