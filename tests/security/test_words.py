"""What commands say when they fail, also with --debug: no password and no text of anybody's."""

from pathlib import Path

import pytest
from sqlalchemy import text

from rankmill.db.store.opening import open_store
from tests.support.processes.rankmill_command import in_process, write_inputs

SECRET = "hush-s3cret"
NOBODY = f"careful:{SECRET}@127.0.0.1:1"
WRONG = {
    "a store that does not answer": ["status", "--store", f"postgresql://{NOBODY}/rank"],
    "a store with an option": ["status", "--store", f"postgresql://127.0.0.1:1/rank?password={SECRET}"],
    "a store of no known kind": ["status", "--store", f"mysql://{NOBODY}/rank"],
    "Redis that does not answer": ["submit", "--broker", f"redis://{NOBODY}/0"],
    "RabbitMQ that does not answer": ["submit", "--broker", f"amqp://{NOBODY}//"],
    "a broker of no known kind": ["submit", "--broker", f"gopher://{NOBODY}/"],
    "a doctor's findings": [
        "doctor",
        "--broker",
        f"amqp://{NOBODY}//",
        "--store",
        f"postgresql://{NOBODY}/x",
    ],
}


@pytest.mark.parametrize("debug", [[], ["--debug"]])
@pytest.mark.parametrize("case", WRONG)
def test_no_password_is_shown(
    case: str,
    debug: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKMILL_DEBUG", "")
    command, *flags = WRONG[case]
    inputs = write_inputs(tmp_path, num_documents=1, num_queries=1) if command == "submit" else []
    assert in_process(*debug, command, *inputs, *flags) in (2, 3)
    said = "".join(capsys.readouterr())
    assert SECRET not in said
    assert bool(debug) == ("Traceback" in said) or command == "doctor", said


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_no_text_is_shown_when_the_store_refuses_it(
    debug: list[str],
    store_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKMILL_DEBUG", "")
    with open_store(store_url) as store:
        store.write(
            lambda connection: connection.execute(text("ALTER TABLE texts RENAME COLUMN content TO gone"))
        )
    flags = write_inputs(tmp_path, num_documents=1, num_queries=1)
    assert in_process(*debug, "run", *flags, "--store", store_url) != 0
    said = "".join(capsys.readouterr())
    assert "error: " in said
    assert "supplier shall deliver" not in said
    assert "what does clause" not in said
