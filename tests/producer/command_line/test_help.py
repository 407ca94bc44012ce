"""What the command says of itself: help, version, usage errors, and what it must not import for that."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes.rankmill_command import Rankmill, in_process
from tests.support.repository import declared_version

COMMANDS = (
    "run",
    "submit",
    "collection",
    "queryset",
    "schedule",
    "beat",
    "prune",
    "worker",
    "status",
    "watch",
    "results",
    "pause",
    "resume",
    "retry",
    "cancel",
    "migrate",
    "monitor",
    "doctor",
)
HEAVY = {
    "torch",
    "transformers",
    "celery",
    "kombu",
    "sqlalchemy",
    "alembic",
    "pydantic_settings",
    "pyarrow",
    "numpy",
}


@pytest.fixture
def rankmill(tmp_path: Path) -> Rankmill:
    return Rankmill(tmp_path)


def test_help_names_the_command_however_it_was_started() -> None:
    program = "from rankmill.producer.command_line import main; main()"
    for arguments, usage in ((["--help"], "Usage: rankmill ["), (["run", "--help"], "Usage: rankmill run [")):
        asked = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        )
        assert usage in asked.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print(*({HEAVY!r} & sys.modules.keys()), file=sys.stderr))\n"
        "from rankmill.producer.command_line import main\n"
        "main()\n"
    )
    asked = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert asked.stdout
    assert asked.stderr.strip() == ""


def test_help_names_every_command_and_every_exit_code(rankmill: Rankmill) -> None:
    said = rankmill("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", said), command
    for code in (0, 2, 3, 4, 5, 6, 7, 130):
        assert re.search(rf"\b{code}\b", said), code


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_process(command, "--help") == 0
    assert f"Example: rankmill {command}" in " ".join(capsys.readouterr().out.split())


def test_version_is_the_packages_own(rankmill: Rankmill) -> None:

    assert rankmill("--version").stdout == f"rankmill {declared_version()}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rerank"], "No such command 'rerank'"),
        (["run", "--corpus", "c.jsonl"], "--queries FILE, or --query-set NAME"),
        (["run", "--corpus", "c", "--queries", "q"], "--candidates RUN of a first-stage run, or --all-pairs"),
        (["run", "--corpus", "c", "--queries", "q", "--all-pairs", "--candidates", "r"], "contradict"),
        (["run", "--corpus", "c", "--queries", "q", "--all-pairs", "--top-k", "0"], "--top-k"),
        (["run", "--corpus", "c", "--queries", "q", "--all-pairs", "--max-length", "3"], "--max-length"),
        (["run", "--corpus", "c", "--queries", "q", "--all-pairs", "--output", "out.txt"], "--format"),
        (["run", "--corpus", "c", "--queries", "q", "--all-pairs", "--json", "-o", "-"], "standard output"),
        (["run", "--corpus", "c", "--queries", "q", "--all-pairs", "--store", "nonsense"], "database URL"),
        (
            ["run", "--corpus", "c", "--queries", "q", "--all-pairs", "--model", "null", "--name", "12"],
            "cannot be named",
        ),
    ],
)
def test_a_wrong_wish_ends_with_code_2_and_says_what_is_wrong(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    code = in_process(*arguments)
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert said in " ".join(captured.err.split())


def test_a_wrong_setting_is_named_without_its_value(rankmill: Rankmill) -> None:
    said = rankmill("status", exit_code=2, RANKMILL_MAX_LENGTH="s3cret").stderr
    assert "RANKMILL_MAX_LENGTH" in said
    assert "s3cret" not in said


def test_flags_win_over_variables_and_those_over_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)

    def store_of(*flags: str) -> str:
        assert in_process("status", *flags) == 3, "there is no such store, and the message says which"
        return capsys.readouterr().err

    assert f"sqlite:///{tmp_path}/.local/share/rankmill/rankmill.db" in store_of()
    Path(".env").write_text("RANKMILL_STORE=sqlite:///from-file.db\n")
    assert "sqlite:///from-file.db" in store_of()
    monkeypatch.setenv("RANKMILL_STORE", "sqlite:///from-variable.db")
    assert "sqlite:///from-variable.db" in store_of()
    assert "sqlite:///from-flag.db" in store_of("--store", "sqlite:///from-flag.db")


def test_a_surprise_is_one_sentence_and_debug_shows_more(rankmill: Rankmill) -> None:
    (rankmill.folder / "store.db").write_bytes(b"this is no database, it is a shopping list" * 100)
    said = rankmill("status", exit_code=3).stderr
    assert len(said.splitlines()) == 1
    process = rankmill.start("status", "--debug")
    assert "Traceback" in process.communicate()[1]
