"""Results never overwrite what they came from, however the file is named."""

import os
from pathlib import Path

import pytest

from tests.support.processes.rankmill_command import in_process, write_inputs


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKMILL_STORE", "sqlite:///store.db")
    (tmp_path / "link.jsonl").symlink_to("corpus.jsonl")
    made = write_inputs(tmp_path, num_documents=2, num_queries=1)
    (tmp_path / "run.tsv").write_text("q0\td0\n")
    os.link(tmp_path / "run.tsv", tmp_path / "twin.tsv")
    return [flag for flag in made if flag != "--all-pairs"] + ["--candidates", "run.tsv"]


@pytest.mark.parametrize("output", ["corpus.jsonl", "queries.tsv", "run.tsv", "link.jsonl", "twin.tsv"])
def test_an_input_is_refused_as_output(
    output: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (tmp_path / output).read_bytes()
    assert in_process("run", *flags, "--output", f"../{tmp_path.name}/{output}", "--format", "jsonl") == 2
    assert f"{output} is an input: the results would overwrite it" in capsys.readouterr().err
    assert (tmp_path / output).read_bytes() == before
    assert not (tmp_path / "store.db").exists(), "refused before any work"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("command", ["run", "results"])
def test_a_file_of_the_store_is_refused_as_output_there_or_not(
    command: str, suffix: str, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = flags if command == "run" else ["1"]
    for is_there in (False, True):
        if is_there:
            (tmp_path / f"store.db{suffix}").write_bytes(b"kept")
        assert in_process(command, *asked, "--output", f"./store.db{suffix}", "--format", "csv") == 2
        assert "belongs to the store" in capsys.readouterr().err
    assert (tmp_path / f"store.db{suffix}").read_bytes() == b"kept"
