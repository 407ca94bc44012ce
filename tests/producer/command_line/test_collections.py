"""The commands collection and queryset, and jobs that take what they keep."""

import json
from pathlib import Path

import pytest

from tests.support.processes.rankmill_command import in_process


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKMILL_STORE", sqlite_url)
    monkeypatch.setenv("RANKMILL_MODEL", "null")
    Path("kb.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n')
    Path("faq.tsv").write_text("q1\tfirst?\n")


def test_a_sync_says_what_it_did_and_a_dry_run_what_it_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("collection", "sync", "kb", "--corpus", "kb.jsonl", "--dry-run") == 0
    said = capsys.readouterr().err
    assert "collection kb: 2 would be added, 0 would be changed, 0 would be removed, 0 unchanged" in said
    assert in_process("collection", "list") == 0
    assert "no collection yet" in capsys.readouterr().out
    assert in_process("collection", "sync", "kb", "--corpus", "kb.jsonl") == 0
    assert "collection kb: 2 added, 0 changed, 0 removed, 0 unchanged" in capsys.readouterr().err
    assert in_process("collection", "sync", "kb", "--corpus", "kb.jsonl", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "name": "kb",
        "num_documents": 2,
        "dry_run": False,
        "num_added": 0,
        "num_changed": 0,
        "num_unchanged": 2,
        "num_removed": 0,
    }


def test_what_is_kept_is_listed_shown_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("queryset", "sync", "faq", "--queries", "faq.tsv") == 0
    capsys.readouterr()
    assert in_process("queryset", "show", "faq", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["num_queries"], facts["version"], facts["num_bytes"]) == ("faq", 1, 1, 6)
    assert in_process("queryset", "list") == 0
    assert "faq" in capsys.readouterr().out
    assert in_process("queryset", "remove", "faq") == 0
    assert "query set faq is removed; it held 1 query" in capsys.readouterr().err
    assert in_process("queryset", "show", "faq") == 2
    assert "There is no query set 'faq'" in capsys.readouterr().err


def test_a_wrong_file_names_its_line_and_ends_with_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    Path("kb.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "a", "text": "two"}\n')
    assert in_process("collection", "sync", "kb", "--corpus", "kb.jsonl") == 5
    assert "kb.jsonl, line 2: document id 'a' was already on line 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--collection", "kb"], "--queries FILE, or --query-set NAME"),
        (["--query-set", "faq"], "--corpus FILE, or --collection NAME"),
        (["--collection", "kb", "--corpus", "kb.jsonl", "--query-set", "faq"], "one of them"),
        (["--collection", "kb", "--query-set", "none"], "There is no query set 'none'"),
    ],
)
def test_each_input_is_named_once(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("collection", "sync", "kb", "--corpus", "kb.jsonl") == 0
    assert in_process("run", *arguments, "--all-pairs") == 2
    assert said in capsys.readouterr().err


def test_prune_counts_first_and_acts_when_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("collection", "sync", "kb", "--corpus", "kb.jsonl") == 0
    Path("kb.jsonl").write_text('{"id": "a", "text": "one"}\n')
    assert in_process("collection", "sync", "kb", "--corpus", "kb.jsonl") == 0
    capsys.readouterr()
    assert in_process("prune") == 0
    said = "older than 30 days: 0 jobs with 0 pairs, 0 scores, 1 text would be removed; do it with --yes"
    assert said in capsys.readouterr().err
    assert in_process("prune", "--older-than", "1", "--yes", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["num_texts"], facts["num_bytes"], facts["is_whole"], facts["dry_run"]) == (
        1,
        3,
        True,
        False,
    )
    assert in_process("prune", "--older-than", "-1") == 2
