"""Result files: rows go to a file that appears whole or not at all, or to standard output.

Nobody reads half a result and an interrupted write leaves the old file. Pipes and devices are written in
place. Knows no store.
"""

import errno
import gzip
import importlib.util
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from rankmill.db.records.results import ResultRow
from rankmill.producer.errors import (
    MissingPrerequisite,
    RankmillError,
    ResourceExhausted,
    RuntimeFailure,
    UsageError,
)
from rankmill.producer.results.atomic_file import atomic_file
from rankmill.producer.results.formats import WRITERS, ResultFormat

STANDARD_OUTPUT = "-"

_BUFFER_BYTES = 2**18
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_FORMAT_OF_ENDING = {
    ".jsonl": ResultFormat.JSONL,
    ".ndjson": ResultFormat.JSONL,
    ".json": ResultFormat.JSONL,
    ".csv": ResultFormat.CSV,
    ".parquet": ResultFormat.PARQUET,
    ".pq": ResultFormat.PARQUET,
    ".trec": ResultFormat.TREC,
    ".run": ResultFormat.TREC,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where results go and in what form; `path` is None for standard output."""

    path: Path | None
    format: ResultFormat
    is_gzip: bool

    def __str__(self) -> str:
        return "standard output" if self.path is None else str(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written. `num_left_out` counts failed pairs a TREC run has no place for; `is_cut_short` says
    that the reader of a pipe had enough."""

    num_pairs: int
    num_left_out: int
    is_cut_short: bool


def plan_output(output: str | os.PathLike[str], format: str | None = None) -> Output:
    """Decide and check where results go, so that a wrong wish is heard before any work.

    `output` is a path, or "-" for standard output (JSONL unless said otherwise). The path's ending tells
    the format unless given; `.gz` after it compresses. Raises UsageError or MissingPrerequisite.
    """
    name = os.fspath(output)
    path = None if name == STANDARD_OUTPUT else Path(name)
    endings = [] if path is None else [ending.lower() for ending in path.suffixes]
    is_gzip = endings[-1:] == [".gz"]
    chosen = _format(format, name, endings[:-1] if is_gzip else endings)
    if chosen is ResultFormat.PARQUET:
        _check_parquet(path, is_gzip)
    planned = Output(path=path, format=chosen, is_gzip=is_gzip)
    if path is not None:
        try:
            _check_place(path)
        except OSError as error:
            raise _unwritable(planned, error) from error
    return planned


def write_results(rows: Iterable[ResultRow], output: Output) -> Written:
    """Write every row; streams. A file that exists is replaced once all of it is on disk.

    A pipe whose reader went away ends the writing quietly. Raises UsageError for a place that cannot be
    written and for ids a TREC run cannot hold, ResourceExhausted when the disk is full, RuntimeFailure
    for other faults of the disk.
    """
    tally = _Tally()
    is_cut_short = False
    try:
        with _opened(output) as stream:
            WRITERS[output.format](tally.counting(rows), stream)
            stream.flush()
    except BrokenPipeError:
        is_cut_short = True
        if output.path is None:
            _silence_standard_output()
    except OSError as error:
        raise _unwritable(output, error) from error
    left_out = tally.num_failed if output.format is ResultFormat.TREC else 0
    return Written(
        num_pairs=tally.num_rows - left_out,
        num_left_out=left_out,
        is_cut_short=is_cut_short,
    )


class _Tally:
    def __init__(self) -> None:
        self.num_rows = self.num_failed = 0

    def counting(self, rows: Iterable[ResultRow]) -> Iterator[ResultRow]:
        for row in rows:
            self.num_rows += 1
            self.num_failed += row.rank is None
            yield row


@contextmanager
def opened_output(output: Output) -> Iterator[BinaryIO]:
    """The stream rows go to; its errors, and a reader that went away, as for `write_results`."""
    try:
        with _opened(output) as stream:
            yield stream
            stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable(output, error) from error


def _format(wish: str | None, name: str, endings: list[str]) -> ResultFormat:
    if wish is not None:
        try:
            return ResultFormat(wish)
        except ValueError:
            raise UsageError(
                f"There is no format {wish!r}. Choose from: {', '.join(ResultFormat)}."
            ) from None
    if name == STANDARD_OUTPUT:
        return ResultFormat.JSONL
    if endings and endings[-1] in _FORMAT_OF_ENDING:
        return _FORMAT_OF_ENDING[endings[-1]]
    raise UsageError(
        f"The name {name} does not tell its format. Give it one of the endings "
        f"{' '.join(_FORMAT_OF_ENDING)} (and .gz), or choose with --format {'|'.join(ResultFormat)}."
    )


def _check_parquet(path: Path | None, is_gzip: bool) -> None:
    if is_gzip:
        raise UsageError(f"Parquet compresses by itself. Leave out .gz: {str(path)[:-3]}")
    if path is None and sys.stdout.isatty():
        raise UsageError("Parquet is not for reading on a screen. Name a file, or pipe it to one.")
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingPrerequisite("Parquet needs pyarrow. Run: pip install 'rankmill[parquet]'")


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{path} is a folder. Name a file in it: {path / 'results.jsonl'}")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} for {path.name}. Run: mkdir -p '{folder}'")
    is_effective = os.access in os.supports_effective_ids
    if not _is_in_place(path) and not os.access(folder, os.W_OK | os.X_OK, effective_ids=is_effective):
        raise UsageError(f"No permission to write in {folder}. Name a file elsewhere with --output.")


def _is_in_place(path: Path) -> bool:
    """Whether what is there is a pipe or device: renaming over it would put a file in its stead."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


@contextmanager
def _opened(output: Output) -> Iterator[BinaryIO]:
    if output.path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
    elif _is_in_place(output.path):
        with output.path.open("wb", buffering=_BUFFER_BYTES) as stream, _compressed(stream, output) as inner:
            yield inner
    else:
        with (
            atomic_file(output.path, buffer_bytes=_BUFFER_BYTES) as stream,
            _compressed(stream, output) as inner,
        ):
            yield inner


@contextmanager
def _compressed(stream: BinaryIO, output: Output) -> Iterator[BinaryIO]:
    if not output.is_gzip:
        yield stream
        return
    # No name and no time inside, so that the same results are the same bytes.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0) as inner,
        io.BufferedWriter(cast(io.RawIOBase, inner), _BUFFER_BYTES) as buffered,
    ):
        yield buffered


def _silence_standard_output() -> None:
    # The interpreter flushes standard output once more as it ends, and would complain of the pipe again.
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _unwritable(output: Output, error: OSError) -> RankmillError:
    if error.errno in _FULL:
        return ResourceExhausted(
            f"No room to write {output}: {error.strerror}. Free some, then ask for the results again."
        )
    if error.errno in _FORBIDDEN:
        return UsageError(f"No permission to write {output}. Name a file elsewhere with --output.")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return UsageError(f"The folder of {output} is not there. Make it, or name a file elsewhere.")
    return RuntimeFailure(
        f"Writing {output} failed: {error.strerror or error}. The results are in the store."
    )
