"""PyTorch's compiler runs nothing that another user could have put where it looks."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankmill.worker.loading.compiler_cache import GPU_SETTING, SETTING, use_private_folder
from tests.support.repository import ROOT


@pytest.fixture(autouse=True)
def settings_come_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for setting in (SETTING, GPU_SETTING):
        monkeypatch.setenv(setting, "/somewhere/else")
    use_private_folder.cache_clear()
    yield
    use_private_folder.cache_clear()


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_that_others_can_write_to_gives_way_to_a_new_one_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    tmp_path.chmod(mode)
    monkeypatch.setenv(SETTING, str(tmp_path))
    use_private_folder()
    folder = Path(os.environ[SETTING])
    assert folder != tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert Path(os.environ[GPU_SETTING]).is_relative_to(folder)
    assert caplog.messages == ["compiler_folder_refused"]


def test_where_none_is_chosen_there_is_a_new_one_and_it_stays_for_the_whole_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(SETTING)
    caplog.set_level(logging.WARNING)
    use_private_folder()
    first = os.environ[SETTING]
    use_private_folder()
    assert os.environ[SETTING] == first
    assert Path(first).is_dir()
    assert caplog.messages == []


def test_what_pytorch_chose_when_it_was_imported_was_chosen_by_nobody() -> None:
    program = (
        "import os, rankmill.worker.loading.assemble\n"
        "from rankmill.worker.loading.compiler_cache import SETTING, use_private_folder\n"
        "print(os.environ.get(SETTING)); use_private_folder(); print(os.environ[SETTING])"
    )
    surroundings = {name: value for name, value in os.environ.items() if name not in (SETTING, GPU_SETTING)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=surroundings,
    )
    before, after = done.stdout.splitlines()
    assert "rankmill-compiled-" in after, f"it was {before}"
    assert done.stderr == ""


def test_a_folder_of_the_user_s_own_is_taken_and_made_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = tmp_path / "compiled"
    monkeypatch.setenv(SETTING, str(chosen))
    assert use_private_folder() is None
    assert os.environ[SETTING] == str(chosen)
    assert Path(os.environ[GPU_SETTING]).is_relative_to(chosen)
    assert chosen.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_gives_way_to_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(SETTING, str(tmp_path / "file" / "compiled"))
    use_private_folder()
    assert Path(os.environ[SETTING]).is_dir()
