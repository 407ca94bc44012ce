"""How result files come to be: whole or not at all, whatever is written to and whatever happens meanwhile."""

import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from rankmill.db.records.results import ResultRow
from rankmill.producer.errors import ResourceExhausted, UsageError
from rankmill.producer.results.files import WriteResult, plan_output, write_results
from tests.support.repository import ROOT

SCORED = ResultRow("q1", "d1", 1, 0.75, 1.0986123085021973, 3, 17, 40, 2, False, True, True, None)
UNICODE = ResultRow("q1", "документ,«2»", 2, 0.5, 0.0, 0, 5, 9, 1, True, False, False, None)
FAILED = ResultRow(
    "q1", "d3", None, None, None, None, None, None, None, None, None, False, "too long, by 3 tokens"
)
ROWS = [SCORED, UNICODE, FAILED]


def write(path: Path, rows: list[ResultRow] | Iterator[ResultRow], format: str | None = None) -> WriteResult:
    return write_results(rows, plan_output(path, format))


def left_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def many_rows(num_rows: int) -> Iterator[ResultRow]:
    return (SCORED._replace(document_id=f"d{i}", rank=i + 1) for i in range(num_rows))


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.csv", "out.parquet", "out.trec"])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, name: str, interruption: type[BaseException]
) -> None:
    def rows() -> Iterator[ResultRow]:
        yield from many_rows(50_000)
        raise interruption

    (tmp_path / name).write_text("old")
    with pytest.raises(interruption):
        write(tmp_path / name, rows())
    assert left_in(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "old"


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    dead, young = tmp_path / ".rankmill-00.unfinished", tmp_path / ".rankmill-11.unfinished"
    dead.write_text("half")
    young.write_text("about to be locked")

    def rows() -> Iterator[ResultRow]:
        yield from many_rows(1)
        (living,) = {*tmp_path.glob(".rankmill-*")} - {dead, young}
        for path in (dead, living):
            os.utime(path, (0, 0))
        write(tmp_path / "other.jsonl", ROWS)
        assert not dead.exists()
        assert living.exists()

    write(tmp_path / "out.jsonl", rows())
    assert left_in(tmp_path) == [young.name, "other.jsonl", "out.jsonl"]


def test_nothing_is_seen_under_the_name_until_all_is_written(tmp_path: Path) -> None:
    def rows() -> Iterator[ResultRow]:
        yield from many_rows(50_000)
        assert (tmp_path / "out.jsonl").read_text() == "old"

    (tmp_path / "out.jsonl").write_text("old")
    write(tmp_path / "out.jsonl", rows())
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 50_000


def test_a_replaced_file_keeps_its_permissions_and_a_new_one_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "new.jsonl", ROWS)
    finally:
        os.umask(before)
    assert (tmp_path / "new.jsonl").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new.jsonl").chmod(0o604)
    write(tmp_path / "new.jsonl", ROWS)
    assert (tmp_path / "new.jsonl").stat().st_mode & 0o777 == 0o604


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text("old")
    (tmp_path / "latest.jsonl").symlink_to("real.jsonl")
    write(tmp_path / "latest.jsonl", ROWS)
    assert (tmp_path / "latest.jsonl").is_symlink()
    assert len((tmp_path / "real.jsonl").read_text().splitlines()) == 3


def test_a_device_is_written_in_place() -> None:
    assert write(Path(os.devnull), ROWS, "jsonl").num_pairs == 3
    assert Path(os.devnull).is_char_device()


def test_a_full_disk_is_told_as_exhausted() -> None:
    with pytest.raises(ResourceExhausted, match="No room to write /dev/full: No space left") as caught:
        write(Path("/dev/full"), many_rows(10_000), "jsonl")
    assert caught.value.exit_code == 4


def test_a_folder_that_goes_away_during_the_work_is_told(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    output = plan_output(tmp_path / "there" / "out.jsonl")
    (tmp_path / "there").rmdir()
    with pytest.raises(UsageError, match="is not there"):
        write_results(ROWS, output)


@pytest.mark.parametrize("format", ["jsonl", "csv", "trec", "parquet"])
def test_a_named_pipe_takes_every_format(tmp_path: Path, format: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()), daemon=True)
    reader.start()
    write(tmp_path / "pipe", ROWS, format)
    reader.join(10)
    write(tmp_path / f"file.{format}", ROWS)
    assert received == [(tmp_path / f"file.{format}").read_bytes()]


ENDLESS = """
import sys
from itertools import count
from rankmill.db.records.results import ResultRow
from rankmill.producer.results.files import plan_output, write_results
row = ResultRow("q", "d", 1, .5, 0., 0, 1, 1, 1, False, False, False, None)
written = write_results((row for _ in count()), plan_output("-", sys.argv[1]))
assert written.is_cut_short
print("after", flush=True)
"""


@pytest.mark.parametrize("format", ["jsonl", "csv", "trec", "parquet"])
def test_a_closed_pipe_ends_the_writing_quietly(format: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, format],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(4)
        process.stdout.close()
        complaints = process.stderr.read().decode()
    assert (process.returncode, complaints) == (0, "")


def test_standard_output_gets_the_lines_after_what_was_printed_before(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    print("first")  # noqa: T201
    write_results(ROWS, plan_output("-"))
    first, *lines = capfdbinary.readouterr().out.splitlines()
    assert first == b"first"
    assert [json.loads(line)["document_id"] for line in lines] == ["d1", "документ,«2»", "d3"]


def test_parquet_is_refused_on_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Screen())
    with pytest.raises(UsageError, match="pipe it"):
        plan_output("-", "parquet")


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv.gz", "out.trec"])
def test_memory_is_constant_however_many_rows(tmp_path: Path, name: str) -> None:
    tracemalloc.start()
    write(tmp_path / name, many_rows(30_000))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2 * 2**20
