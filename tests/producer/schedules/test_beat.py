"""The beat and the commands of schedules, as processes: Celery's beat asks, the store has the truth."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.bulk import run
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.producer.schedules.due import submit_due
from tests.support.processes.rankmill_command import Rankmill, in_process
from tests.support.waiting import wait_until

LISTENS = "every minute what is due"


@pytest.fixture
def rankmill(
    tmp_path: Path,
    sqlite_url: str,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Rankmill:
    """The command in a folder with a collection, a query set and the schedule `kb`."""
    command = Rankmill(tmp_path)
    assert command.store_url == sqlite_url
    settings = {"RANKMILL_STORE": sqlite_url, "RANKMILL_BROKER": redis_url, "RANKMILL_MODEL": "null"}
    command.environment |= settings
    corpus, queries = tmp_path / "kb.jsonl", tmp_path / "faq.tsv"
    corpus.write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n')
    queries.write_text("q1\tfirst?\n")
    with monkeypatch.context() as patched:
        for name, value in settings.items():
            patched.setenv(name, value)
        assert in_process("collection", "sync", "kb", "--corpus", str(corpus)) == 0
        assert in_process("queryset", "sync", "faq", "--queries", str(queries)) == 0
        schedule = ["schedule", "add", "kb", "--cron", "0 2 * * *", "--timezone", "Europe/Berlin"]
        assert in_process(*schedule, "--collection", "kb", "--query-set", "faq", "--all-pairs") == 0
    assert "schedule kb fires next at" in capsys.readouterr().err
    return command


@pytest.fixture
def store(rankmill: Rankmill) -> Store:
    return open_store(rankmill.store_url)


def make_due(store: Store, seconds_ago: int = 5) -> None:
    moment = int(store.now()) - seconds_ago
    with store.writing() as connection:
        run(connection, "UPDATE schedules SET next_at = ?", moment)


def start_beat(rankmill: Rankmill, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=rankmill.folder, env=rankmill.environment, stderr=output)


def is_submitted(store: Store) -> bool:
    with store.reading() as connection:
        found = run(connection, "SELECT count(*) FROM schedule_runs WHERE state = 'submitted'").fetchone()
    return bool(found[0])


@pytest.mark.parametrize("command", [["rankmill"], ["celery", "-A", "rankmill.producer.beat"]])
def test_beats_submit_what_is_due_and_stop_when_asked(
    rankmill: Rankmill, store: Store, command: list[str]
) -> None:
    make_due(store)
    program = str(Path(sys.executable).with_name(command[0]))
    logs = [rankmill.folder / "one.log", rankmill.folder / "two.log"]
    beats = [start_beat(rankmill, [program, *command[1:], "beat"], log) for log in logs]
    try:
        wait_until(lambda: is_submitted(store), 60, "the night's job")
        wait_until(lambda: all(LISTENS in log.read_text() for log in logs), 60, "both beats to listen")
    finally:
        for beat in beats:
            beat.send_signal(signal.SIGTERM)
        exit_codes = [beat.wait(60) for beat in beats]
    assert [job.name for job in list_job_progress(store)] == ["kb"]
    assert exit_codes == [0, 0]
    assert "Traceback" not in "".join(log.read_text() for log in logs)


def test_somebody_must_ask_and_check_says_when_nobody_does(rankmill: Rankmill, store: Store) -> None:
    rankmill("beat", "--check")
    make_due(store, seconds_ago=600)
    assert "start rankmill beat" in rankmill("beat", "--check", exit_code=3).stderr


def test_run_now_makes_the_ranking_and_list_tells_of_it(rankmill: Rankmill) -> None:
    assert rankmill("schedule", "run-now", "kb").stdout == "1\n"
    again = rankmill("schedule", "run-now", "kb", exit_code=6).stderr
    assert "waits for job 1 of an earlier night" in again
    (facts,) = json.loads(rankmill("schedule", "list", "--json").stdout)
    assert (facts["name"], facts["zone"], facts["collection"]) == ("kb", "Europe/Berlin", "kb")
    assert facts["telling"] is None
    assert list(facts)[-4:] == ["telling", "next_at", "paused_at", "nights"]
    assert [night["state"] for night in facts["nights"]] == ["due", "submitted"]
    assert list(facts["nights"][0]) == (
        ["night_id", "schedule_id", "fire_at", "night", "by_hand", "state", "job_id", "reason", "num_tries"]
    )
    assert "by hand" in rankmill("schedule", "list", "kb").stdout


@pytest.mark.parametrize("point", ["before_record_commit", "after_record_commit", "before_doorbell"])
def test_a_night_whose_submitter_is_killed_is_one_job_all_the_same(
    rankmill: Rankmill, store: Store, point: str
) -> None:
    rankmill("schedule", "run-now", "kb", exit_code=-9, RANKMILL_FAILPOINTS=f"{point}:kill")
    make_due(store)  # the next night stands for one that has no job, and waits for one that has
    settings = Settings(store=rankmill.store_url, broker=rankmill.environment["RANKMILL_BROKER"])
    submit_due(store, settings, store.now())
    assert [job.name for job in list_job_progress(store)] == ["kb"]
    submit_due(store, settings, store.now())
    assert len(list_job_progress(store)) == 1


def test_a_sync_killed_before_its_commit_leaves_the_old_state(rankmill: Rankmill) -> None:
    (rankmill.folder / "kb.jsonl").write_text('{"id": "c", "text": "three"}\n')
    sync = ["collection", "sync", "kb", "--corpus", "kb.jsonl"]
    rankmill(*sync, exit_code=-9, RANKMILL_FAILPOINTS="before_sync_commit:kill")
    assert json.loads(rankmill("collection", "show", "kb", "--json").stdout)["num_documents"] == 2
    assert "1 added, 0 changed, 2 removed, 0 unchanged" in rankmill(*sync).stderr


def test_a_schedule_is_paused_resumed_and_removed(
    rankmill: Rankmill, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKMILL_STORE", rankmill.store_url)
    assert in_process("schedule", "pause", "kb") == 0
    assert in_process("schedule", "list") == 0
    assert "paused" in capsys.readouterr().out
    assert in_process("schedule", "run-now", "kb") == 2
    assert "schedule resume kb" in capsys.readouterr().err
    assert in_process("schedule", "resume", "kb") == 0
    assert "fires next at" in capsys.readouterr().err
    assert in_process("collection", "remove", "kb") == 2
    assert (
        "is ranked by schedule kb. Remove the schedule first: rankmill schedule remove kb"
        in capsys.readouterr().err
    )
    assert in_process("schedule", "remove", "kb") == 0
    assert in_process("schedule", "remove", "kb") == 2
    assert "There is no schedule 'kb'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--cron", "0 2 * *"], "cannot be read"),
        (["--timezone", "Berlin"], "There is no time zone 'Berlin'"),
        (["--catch-up", "twice"], "once or skip"),
        (["--overlap", "never"], "wait or skip"),
        (["--collection", "none"], "There is no collection 'none'"),
        (["--candidates", "run.tsv"], "contradict each other"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(
    rankmill: Rankmill,
    wrong: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANKMILL_STORE", rankmill.store_url)
    right = ["--cron", "0 2 * * *", "--collection", "kb", "--query-set", "faq", "--all-pairs"]
    assert in_process("schedule", "add", "other", "--model", "null", *right, *wrong) == 2
    assert said in capsys.readouterr().err
