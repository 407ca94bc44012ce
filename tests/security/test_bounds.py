"""Inputs have bounds: lines, files that unpack without end, pairs of one job, a model's own files."""

import gzip
import json
from pathlib import Path

import pytest

from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.scorers.folder_facts import MAX_JSON_BYTES
from rankmill.db.store.opening import open_store
from rankmill.producer.errors import InputError
from rankmill.producer.sources import lines
from rankmill.producer.sources.lines import read_lines
from tests.support.processes.rankmill_command import in_process, write_inputs


def test_a_gzip_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "GZIP_BYTES_TO_SPARE", 2**16)
    bomb = tmp_path / "bomb.gz"
    line = b'{"id": "d", "text": "' + b"x" * 200 + b'"}\n'
    bomb.write_bytes(gzip.compress(line * 20_000))
    with pytest.raises(InputError, match=r"bomb\.gz, line \d+: the gzip file unpacks to more than 200 times"):
        for _ in read_lines(bomb):
            pass
    plain = tmp_path / "plain"
    plain.write_bytes(line * 20_000)
    assert sum(1 for _ in read_lines(plain)) == 20_000


@pytest.mark.parametrize("candidates", [False, True])
def test_a_job_of_more_pairs_than_allowed_is_refused_before_they_are_written(
    candidates: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKMILL_MAX_PAIRS", "9")
    flags = write_inputs(tmp_path, num_documents=5, num_queries=2)
    if candidates:
        rows = (f"q{query}\td{document}\n" for query in range(2) for document in range(5))
        Path("run.tsv").write_text("".join(rows))
        flags[flags.index("--all-pairs")] = "--candidates=run.tsv"
    assert in_process("run", *flags, "--store", "sqlite:///store.db") == 5
    said = capsys.readouterr().err
    assert "run.tsv: 10 candidates" in said if candidates else "corpus.jsonl: 10 pairs of 2 queries" in said
    assert "raise RANKMILL_MAX_PAIRS" in said
    with open_store("sqlite:///store.db") as store:
        assert list_job_progress(store) == []


@pytest.mark.parametrize("content", [b"[" * 200_000, b" " * (MAX_JSON_BYTES + 1), b"\xff{}", b"7"])
def test_a_model_s_config_that_is_no_config_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from rankmill.db.records.scorers import ScorerSpec
    from rankmill.worker.errors import NotAModel
    from rankmill.worker.loading.files.checkpoint import find_checkpoint

    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_bytes(content)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(NotAModel, match=r"readable config\.json"):
        find_checkpoint(ScorerSpec(model=str(folder)))
    flags = write_inputs(tmp_path, num_documents=1, num_queries=1)[:-2]
    code = in_process("run", *flags, "--model", "model", "--store", "sqlite:///store.db")
    said = capsys.readouterr()
    assert code == 3, said.err
    assert "Traceback" not in said.err
    assert "config.json" in said.err


def test_a_line_s_bound_is_a_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = write_inputs(tmp_path, num_documents=1, num_queries=1)
    Path("corpus.jsonl").write_text(json.dumps({"id": "d0", "text": "long " * 1000}) + "\n")
    monkeypatch.setenv("RANKMILL_MAX_LINE_BYTES", "1024")
    assert in_process("run", *flags, "--store", "sqlite:///store.db") == 5
    assert "corpus.jsonl, line 1: the line is longer than 1,024 bytes" in capsys.readouterr().err
