"""What is reused, and why nothing is: the summaries of submit and run say so."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rankmill.db.jobs.reuse_report import why_nothing_is_reused
from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import SPEC, StandIn, submit
from tests.support.processes.rankmill_command import in_process


def again(store: Store, key: str, scorer: ScorerSpec, name: str | None = None) -> str | None:
    return why_nothing_is_reused(store, submit(store, key=key, scorer=scorer, name=name).job_id)


def test_a_changed_scorer_says_in_what_it_differs_from_the_one_before(store: Store) -> None:
    assert again(store, "first", SPEC) is None
    assert again(store, "same", SPEC) is None
    assert again(store, "revision", replace(SPEC, revision="v2")) == (
        "nothing is reused of job 2, whose scorer was another: revision the default then, v2 now"
    )
    said = again(store, "two", replace(SPEC, precision=Precision.FP32, window=64))
    assert said is not None
    assert said.endswith(
        "revision v2 then, the default now; precision auto then, fp32 now; window the default then, 64 now"
    )
    assert again(store, "back", SPEC) is not None


def test_files_that_changed_are_told_by_the_first_digits_of_their_digests(store: Store) -> None:
    again(store, "old", replace(SPEC, files_digest="a" * 64))
    said = again(store, "new", replace(SPEC, files_digest="b" * 64))
    assert str(said).endswith("files aaaaaaaaaaaa then, bbbbbbbbbbbb now")


def test_a_name_is_compared_with_its_own_past_whatever_the_model(store: Store) -> None:
    again(store, "one", SPEC, name="kb")
    StandIn(store).drain()
    again(store, "other", replace(SPEC, revision="v2"))
    assert again(store, "three", SPEC, name="kb") is None
    StandIn(store).drain()
    said = again(store, "four", replace(SPEC, model="org/new"), name="kb")
    assert str(said).endswith("model null then, org/new now")


def test_submit_says_why_nothing_is_reused(
    tmp_path: Path,
    sqlite_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kb.jsonl").write_text('{"id": "a", "text": "one"}\n')
    (tmp_path / "q.tsv").write_text("q1\tfirst?\n")
    places = ["--store", sqlite_url, "--broker", redis_url]
    command = ["submit", "--corpus", "kb.jsonl", "--queries", "q.tsv", "--all-pairs", "--model", "null"]
    assert in_process(*command, *places) == 0
    assert "another" not in capsys.readouterr().err
    assert in_process(*command, *places, "--max-length", "64") == 0
    assert "maximum length the default then, 64 now" in capsys.readouterr().err
    assert in_process(*command, *places, "--max-length", "32", "--json") == 0
    assert "64 then, 32 now" in json.loads(capsys.readouterr().out)["started_anew"]
