"""Rankings from the command line: run publishes, changes reads, deliver sends, rollback brings back."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankmill.db.store.opening import open_store
from tests.support.jobs.rankings import latest, night
from tests.support.processes.rankmill_command import Rankmill, in_process, write_inputs
from tests.support.processes.receivers import Misbehaving, misbehaving

MONDAY = {f"d{number}": f"{number}" for number in range(1, 4)}
TUESDAY = {f"d{number}": f"{number}" for number in range(2, 5)}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Misbehaving]:
    with misbehaving(tmp_path / "receiver") as started:
        yield started


@pytest.fixture
def two_nights(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a store with a ranking of two nights; commands find it by themselves."""
    monkeypatch.setenv("RANKMILL_STORE", sqlite_url)
    with open_store(sqlite_url) as store:
        night(store, "monday", MONDAY)
        night(store, "tuesday", TUESDAY)
    return sqlite_url


def test_run_publishes_and_tells_before_it_ends(tmp_path: Path, receiver: Misbehaving) -> None:
    rankmill = Rankmill(tmp_path)
    inputs = write_inputs(tmp_path, num_documents=3, num_queries=2)
    job_options = ["--publish", "kb", "--webhook", f"{receiver.url}/hook", "--json"]
    refused = rankmill("run", *inputs, *job_options, exit_code=3)
    assert "RANKMILL_WEBHOOK_SECRET" in refused.stderr
    rankmill.environment["RANKMILL_WEBHOOK_SECRET"] = "sixteen letters or more"
    rankmill.environment["RANKMILL_WEBHOOK_PRIVATE"] = "true"
    ended = rankmill("run", *inputs, *job_options)
    (published,) = json.loads(ended.stdout)["rankings"]
    assert (published["ranking"], published["num_added"], published["last_cursor"]) == ("kb", 6, 6)
    assert "ranking kb: publication 1: 6 added, 0 changed, 0 removed; the feed's cursor is 6" in ended.stderr
    (post,) = receiver.taken()
    assert json.loads(post["body"])["rankings"][0]["publication_id"] == 1
    with open_store(rankmill.store_url) as store:
        assert len(latest(store)) == 6


def test_changes_are_lines_from_a_cursor_on(two_nights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("changes", "kb", "--after", "6") == 0
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.out.splitlines()]
    assert captured.err == f"cursor: {lines[-1]['cursor']}\n"
    told = {(line["change"], line["document_id"]) for line in lines if line["query_id"] == "q1"}
    assert told == {("removed", "d1"), ("added", "d4"), ("changed", "d2"), ("changed", "d3")}
    assert in_process("changes", "kb", "--after", captured.err.split()[1]) == 0
    assert capsys.readouterr().out == ""


def test_changes_for_an_index_carry_external_versions_and_deletes(
    two_nights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("changes", "kb", "--format", "opensearch", "--index", "shop") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    actions = [line for line in lines if "index" in line or "delete" in line]
    assert [next(iter(action)) for action in actions].count("delete") == 2
    versions = [next(iter(action.values()))["version"] for action in actions]
    assert versions == sorted(versions)
    assert {next(iter(action.values()))["_index"] for action in actions} == {"shop"}


def test_changes_as_parquet_are_the_columns_of_the_view(two_nights: str, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    assert in_process("changes", "kb", "--output", str(tmp_path / "changes.parquet")) == 0
    table = pq.read_table(tmp_path / "changes.parquet")
    with open_store(two_nights) as store, store.reading() as connection:
        view = connection.exec_driver_sql("SELECT * FROM changes ORDER BY cursor").mappings().all()
    assert table.to_pylist() == [{name: row[name] for name in table.column_names} for row in view]


def test_following_writes_what_comes_and_ends_when_stopped(two_nights: str, tmp_path: Path) -> None:
    rankmill = Rankmill(tmp_path)
    following = rankmill.start("changes", "kb", "--after", "6", "--follow", RANKMILL_STORE=two_nights)
    assert following.stdout is not None
    first = [json.loads(following.stdout.readline()) for _ in range(8)]
    with open_store(two_nights) as store:
        night(store, "wednesday", {**TUESDAY, "d9": "0.5"})
    more = [json.loads(following.stdout.readline()) for _ in range(2)]
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=30)
    assert following.returncode == 130
    assert [line["cursor"] for line in first + more] == list(range(7, 17))
    assert {line["document_id"] for line in more} == {"d9"}


def test_rolling_back_says_what_came_back(two_nights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("rollback", "kb") == 0
    assert "publication 3 brings back 1 (job 1)" in capsys.readouterr().err
    assert in_process("rollback", "kb", "--to", "9") == 2
    assert "rankmill rankings kb lists what it keeps" in capsys.readouterr().err


def test_rankings_show_what_is_kept_and_where_deliveries_stand(
    two_nights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("deliver", "kb", "--to", str(tmp_path / "out")) == 0
    assert in_process("rankings", "kb", "--rank-tolerance", "2", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [made["publication_id"] for made in shown["publications"]] == [2, 1]
    assert (shown["rank_tolerance"], shown["deliveries"][0]["cursor"]) == (2, 14)
    assert in_process("rankings", "kb") == 0
    assert f"folder {tmp_path / 'out'}: up to cursor 14, 0 refused" in capsys.readouterr().out
    assert in_process("rankings") == 0
    assert "kb" in capsys.readouterr().out


def test_a_dry_run_sends_nothing_and_refusals_end_with_code_7(
    two_nights: str, receiver: Misbehaving, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ["deliver", "kb", "--to", "opensearch", "--at", receiver.url]
    assert in_process(*to, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["num_new"] == 8
    assert receiver.documents() == {}
    receiver.break_documents(["d2"])
    assert in_process(*to) == 7
    assert "2 refused" in capsys.readouterr().err


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killed_after_the_receiver_accepted_the_same_command_ends_equal(
    database: str, request: pytest.FixtureRequest, tmp_path: Path, receiver: Misbehaving
) -> None:
    url: str = request.getfixturevalue("sqlite_url" if database == "sqlite" else "postgres_url")
    with open_store(url) as store:
        night(store, "monday", MONDAY)
        night(store, "tuesday", TUESDAY)
        rankmill = Rankmill(tmp_path)
        to = ["deliver", "kb", "--to", "opensearch", "--at", receiver.url, "--json"]
        rankmill.environment["RANKMILL_STORE"] = url
        once = f"after_receiver_accepted:kill:once={tmp_path / 'killed'}"
        rankmill(*to, exit_code=-signal.SIGKILL, RANKMILL_FAILPOINTS=once)
        assert len(receiver.documents()) == 6
        ended = json.loads(rankmill(*to).stdout)
        assert (ended["cursor"], ended["num_newer"]) == (14, 8)
        held = {(one["query_id"], one["document_id"]): one["rank"] for one in receiver.documents().values()}
        assert held == {pair: rank for pair, (rank, _) in latest(store).items()}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--publish-policy", "all"], "go with --publish"),
        (["run", "--publish", "12"], "cannot be named"),
        (["run", "--webhook", "https://u:p@host/"], "no user and password"),
        (["run", "--then", "shop.reindex"], "--broker"),
        (["deliver", "kb", "--to", "opensearch"], "--at URL"),
        (["deliver", "kb", "--to", "opensearch", "--at", "http://h", "--index", "Big"], "lower-case letters"),
        (["deliver", "kb", "--to", "s3://bucket"], "--to takes"),
        (["deliver", "nowhere", "--to", "folder"], "no ranking 'nowhere'"),
        (["changes", "kb", "--follow", "--output", "file.jsonl"], "--follow"),
        (["changes", "kb", "--after", "15"], "beyond the end of this feed, which is 14"),
        (["rankings", "--rank-tolerance", "1"], "Name the ranking that is meant"),
    ],
)
def test_a_wrong_wish_ends_with_code_2_and_says_what_is_wrong(
    two_nights: str,
    tmp_path: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = arguments
    if arguments[0] == "run":
        given = [*arguments, *write_inputs(tmp_path, num_documents=1, num_queries=1)]
    assert in_process(*given) == 2
    assert said in capsys.readouterr().err
