"""`rankmill run` with nothing installed or started: a whole run, and what can be asked of it afterwards."""

import csv
import json
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rankmill.db.queue.workers import workers
from rankmill.db.store.opening import open_store
from tests.support.processes.rankmill_command import Rankmill, write_inputs

NUM_DOCUMENTS, NUM_QUERIES = 30, 4
NUM_PAIRS = NUM_DOCUMENTS * NUM_QUERIES


@pytest.fixture(scope="module")
def rankmill(tmp_path_factory: pytest.TempPathFactory) -> Rankmill:
    """A folder in which one run was made, named `night`, with results in out.jsonl."""
    made = Rankmill(tmp_path_factory.mktemp("run"))
    flags = write_inputs(made.folder, num_documents=NUM_DOCUMENTS, num_queries=NUM_QUERIES)
    done = made("run", *flags, "--name", "night", "--output", "out.jsonl")
    assert done.stdout == "", "results went to a file, so standard output stays empty"
    for said in (
        "store: sqlite:///",
        "job 1 (night): 4 queries, 30 documents, 120 pairs",
        "results: out.jsonl",
    ):
        assert said in done.stderr
    assert "120 of 120 pairs (100%)" in done.stderr
    return made


@pytest.fixture
def flags(rankmill: Rankmill) -> list[str]:
    return ["--corpus", "corpus.jsonl", "--queries", "queries.tsv", "--all-pairs", "--model", "null"]


def num_worker_rows(rankmill: Rankmill) -> int:
    with open_store(rankmill.store_url) as store:
        return len(workers(store, only_alive=False))


def test_every_pair_is_there_once_ranked_by_falling_logit(rankmill: Rankmill) -> None:
    lines = [json.loads(line) for line in (rankmill.folder / "out.jsonl").read_text().splitlines()]
    assert len({(line["query_id"], line["document_id"]) for line in lines}) == len(lines) == NUM_PAIRS
    for number in range(NUM_QUERIES):
        ranked = [line for line in lines if line["query_id"] == f"q{number}"]
        assert [line["rank"] for line in ranked] == list(range(1, NUM_DOCUMENTS + 1))
        assert ranked == sorted(ranked, key=lambda line: (-line["logit"], line["document_id"]))
    for line in lines:
        assert line["score"] == pytest.approx(1 / (1 + math.exp(-line["logit"])), abs=1e-12)
        assert list(line) == [
            "query_id",
            "document_id",
            "rank",
            "score",
            "logit",
            "span",
            "num_tokens",
            "num_windows",
            "truncated",
            "query_truncated",
            "reused",
        ]


def test_nothing_it_started_is_left(rankmill: Rankmill) -> None:
    assert rankmill.private_folders() == []
    with open_store(rankmill.store_url) as store:
        assert workers(store) == [], "the worker said farewell"


def test_the_same_again_answers_at_once_without_a_worker(rankmill: Rankmill, flags: list[str]) -> None:
    before = num_worker_rows(rankmill)
    again = rankmill("run", *flags, "--output", "-")
    assert again.stdout == (rankmill.folder / "out.jsonl").read_text()
    assert "recorded before" in again.stderr
    assert num_worker_rows(rankmill) == before
    assert len(rankmill.jobs()) == 1


def test_what_is_done_needs_nothing_to_score_with(
    rankmill: Rankmill, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.processes.rankmill_command import in_process

    monkeypatch.chdir(rankmill.folder)
    monkeypatch.setenv("RANKMILL_STORE", rankmill.store_url)
    monkeypatch.setattr("rankmill.producer.running.local_worker.redis_program", lambda: None)
    assert in_process("run", *flags) == 0


def test_without_output_people_get_a_table_of_the_best(rankmill: Rankmill, flags: list[str]) -> None:
    shown = rankmill("run", *flags, "--top-k", "2").stdout
    best = [json.loads(line) for line in (rankmill.folder / "out.jsonl").read_text().splitlines()]
    assert "what does clause 1 say?  (q1)" in shown
    for line in best:
        is_shown = f"{line['score']:.3f}" in shown and f" {line['document_id']} " in shown
        assert is_shown or line["rank"] > 2
    assert "Clause" in shown, "the words of the passage stand beside the score"
    assert "\x1b" not in shown, "no colours without a terminal"
    assert len(rankmill("results", "1").stdout.splitlines()) == 2 * NUM_QUERIES, "asked last, kept for later"
    said = rankmill("run", *flags, "--top-k", str(NUM_DOCUMENTS), "--name", "day").stderr
    assert "warning: Job 1 is already named 'night': --name day is ignored." in said


def test_json_is_one_object_for_programs(rankmill: Rankmill, flags: list[str]) -> None:
    facts = json.loads(rankmill("run", *flags, "--json", "--output", "again.csv").stdout)
    assert facts | {"num_tokens": 0, "duration_s": 0, "store": "", "num_shards": 1} == {
        "job_id": 1,
        "name": "night",
        "state": "done",
        "is_new": False,
        "num_queries": NUM_QUERIES,
        "num_documents": NUM_DOCUMENTS,
        "num_pairs": NUM_PAIRS,
        "num_reused": 0,
        "num_scored": NUM_PAIRS,
        "num_failed": 0,
        "num_shards": 1,
        "num_tokens": 0,
        "started_anew": None,
        "num_read": NUM_PAIRS,
        "num_windowed": 0,
        "num_truncated": 0,
        "num_query_truncated": 0,
        "rankings": [],
        "duration_s": 0,
        "output": "again.csv",
        "store": "",
    }


def test_results_come_in_every_format(rankmill: Rankmill) -> None:
    lines = [json.loads(line) for line in (rankmill.folder / "out.jsonl").read_text().splitlines()]
    rankmill("results", "night", "--output", "out.csv")
    with (rankmill.folder / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["document_id"] for row in rows] == [line["document_id"] for line in lines]
    run = rankmill("results", "1", "--format", "trec", "--top-k", "3").stdout.split("\n")[:-1]
    assert len(run) == 3 * NUM_QUERIES
    first = lines[0]
    assert run[0] == f"q0 Q0 {first['document_id']} 1 {first['logit']!r} rankmill"
    rankmill("results", "night", "--output", "out.parquet", "--min-score", "0.5")
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(rankmill.folder / "out.parquet")
    assert table["score"].to_pylist() == [line["score"] for line in lines if line["score"] >= 0.5]


def test_results_to_a_reader_that_goes_away_end_quietly(rankmill: Rankmill) -> None:
    process = rankmill.start("results", "night")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Error" not in process.stderr.read()
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_results_that_are_interrupted_leave_nothing_half_written(
    rankmill: Rankmill, signum: signal.Signals, tmp_path: Path
) -> None:
    program = (
        "import sys, time\n"
        "from rankmill.producer.results import formats\n"
        "def never_ending(rows, stream):\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "formats.WRITERS['jsonl'] = never_ending\n"
        "from rankmill.producer.command_line import main\n"
        f"sys.argv = ['rankmill', 'results', '1', '--output', '{tmp_path}/half.jsonl']\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], env=rankmill.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert list(tmp_path.iterdir()) != []
        process.send_signal(signum)
        assert process.wait(timeout=30) == 128 + signum
    assert list(tmp_path.iterdir()) == []


def test_status_and_watch_tell_of_the_finished_job(rankmill: Rankmill) -> None:
    shown = rankmill("status")
    assert "night" in shown.stdout
    assert "120 of 120" in shown.stdout
    assert "no worker is alive" in shown.stdout
    facts = json.loads(rankmill("status", "night", "--json").stdout)
    assert [(job["job_id"], job["state"], job["num_scored"]) for job in facts["jobs"]] == [
        (1, "done", NUM_PAIRS)
    ]
    watched = rankmill("watch", "1", "--json")
    assert json.loads(watched.stdout)["num_ended"] == NUM_PAIRS
    assert rankmill("watch", "nobody", exit_code=2).stderr.startswith("error: There is no job 'nobody'")


def test_a_finished_job_stays_when_it_is_cancelled(rankmill: Rankmill) -> None:
    assert "nothing was changed" in rankmill("cancel", "night").stderr
    assert rankmill.jobs()[0].state == "done"


def test_scores_are_reused_by_a_job_with_more_documents(rankmill: Rankmill) -> None:
    with (rankmill.folder / "corpus.jsonl").open() as old:
        lines = old.readlines()
    (rankmill.folder / "more.jsonl").write_text("".join([*lines, '{"id": "new", "text": "A new clause."}\n']))
    done = rankmill(
        "run",
        "--corpus",
        "more.jsonl",
        "--queries",
        "queries.tsv",
        "--all-pairs",
        "--model",
        "null",
        "--json",
    )
    facts = json.loads(done.stdout)
    assert (facts["num_reused"], facts["num_scored"]) == (NUM_PAIRS, NUM_QUERIES)


def test_the_next_night_s_job_takes_the_name(rankmill: Rankmill, flags: list[str]) -> None:
    Path(rankmill.folder / "other.tsv").write_text("q\tanother question\n")
    other = ["other.tsv" if flag == "queries.tsv" else flag for flag in flags]
    rankmill("run", *other, "--name", "night")
    assert len(rankmill("results", "night").stdout.splitlines()) == NUM_DOCUMENTS
    assert "newer and also named 'night'" in rankmill("run", *flags, "--name", "night").stderr


def test_a_name_that_is_too_long_is_refused(rankmill: Rankmill, flags: list[str]) -> None:
    assert "is too long" in rankmill("run", *flags, "--name", "n" * 201, exit_code=2).stderr


def test_a_query_too_long_to_be_read_is_told_flagged_and_refused_under_the_error_policy(
    tmp_path: Path,
) -> None:
    made = Rankmill(tmp_path)
    write_inputs(tmp_path, num_documents=1, num_queries=1)
    (tmp_path / "queries.tsv").write_text("short\tdelay?\nlong\t" + "which goods? " * 40 + "\n")
    inputs = ["--corpus", "corpus.jsonl", "--queries", "queries.tsv", "--all-pairs"]
    flags = [*inputs, "--model", "demo", "--max-length", "64", "--output", "out.jsonl"]
    said = made("run", *flags).stderr
    assert "1 pair lost the end of the query, see `query_truncated`" in said
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["query_id"], line["query_truncated"]) for line in lines] == [
        ("short", False),
        ("long", True),
    ]
    made("run", *flags, "--long-documents", "error", exit_code=7)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line.get("error", "")[:9] for line in lines] == ["", "the query"]
