"""The lines of a text file, plain or gzip, in constant memory. Knows nothing of what the lines mean."""

import gzip
import io
import math
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from rankmill.producer.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Buffer, TypeIs

MAX_LINE_BYTES = 16 * 2**20

FilePath = str | os.PathLike[str]
ByteStream: TypeAlias = "io.BufferedReader[io.RawIOBase]"

# Text is compressed to a tenth, perhaps a fiftieth; what unpacks to far more was made to fill a disk.
MAX_GZIP_RATIO = 200
GZIP_BYTES_TO_SPARE = 2**30

_BUFFER_BYTES = 2**18
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_FOREIGN = (
    (rb"PK\x03\x04", "a zip archive", "Unpack it, or compress with gzip instead."),
    (rb"\x28\xb5\x2f\xfd", "zstd-compressed", "Decompress it (zstd -d), or compress with gzip instead."),
    (rb"\xfd7zXZ\x00", "xz-compressed", "Decompress it (xz -d), or compress with gzip instead."),
    (rb"BZh[1-9]1AY&SY", "bzip2-compressed", "Decompress it (bunzip2), or compress with gzip instead."),
    (rb"PAR1\x15", "a Parquet file", "Export it as JSONL or TSV."),
    (rb"%PDF-\d", "a PDF", "Extract its text and write it as JSONL."),
    (rb"\xff\xfe|\xfe\xff", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
)


def is_path(source: object) -> "TypeIs[FilePath]":
    """Whether an input is named by a path rather than given as rows."""
    return isinstance(source, str | os.PathLike)


def open_file(path: FilePath) -> io.FileIO:
    """Opens a regular file for reading bytes, unbuffered.

    Raises InputError for what cannot be read; also for pipes and devices, which could block for ever and
    cannot be read a second time.
    """
    name = os.fspath(path)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise unreadable(name, None, error) from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return io.FileIO(descriptor)
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise InputError(name, None, "is a directory, not a file", "Name a file in it.")
    raise InputError(
        name, None, "is not a regular file", "Inputs are read more than once: save it to a file first."
    )


def read_lines(path: FilePath, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, line without its end) for every line that is not blank.

    UTF-8 with or without a byte order mark, LF or CRLF, plain or gzip (by its content, not its name).
    Raises InputError for what cannot be read, is not text, or is longer than `max_line_bytes`.
    """
    name = os.fspath(path)
    line_no, has_lines = 0, False
    with closing(open_file(path)) as file, closing(_decompressed(name, file)) as stream:
        most = _most_bytes(file, stream)
        for line_no, line in enumerate(_bounded(name, stream, max_line_bytes, most), 1):
            if line_no == 1:
                line = line.removeprefix(_BOM)
            line = line.rstrip(b"\r\n")
            if not line or line.isspace():
                continue
            has_lines = True
            yield line_no, _decoded(name, line_no, line)
    if not has_lines:
        problem = "the file has only blank lines" if line_no else "the file is empty"
        raise InputError(name, None, problem, "Check the path, or the program that should have written it.")


class _Gzip(gzip.GzipFile):
    """Yields what precedes the place where the file is damaged, so that the line of the error is exact."""

    def readinto(self, buffer: "Buffer") -> int:
        return self.readinto1(buffer)


def _decompressed(name: str, file: io.FileIO) -> ByteStream:
    buffered: ByteStream = io.BufferedReader(file, _BUFFER_BYTES)
    try:
        start = buffered.peek(16)
    except OSError as error:
        raise unreadable(name, None, error) from error
    for magic, what, remedy in _FOREIGN:
        if re.match(magic, start):
            raise InputError(name, None, f"is {what}, not UTF-8 text", remedy)
    if not start.startswith(_GZIP):
        return buffered
    return io.BufferedReader(cast(io.RawIOBase, _Gzip(fileobj=buffered)), _BUFFER_BYTES)


def _most_bytes(file: io.FileIO, stream: ByteStream) -> float:
    """How many bytes a file may yield; a plain one any number, because they are on the disk already."""
    if not isinstance(stream.raw, _Gzip):
        return math.inf
    return GZIP_BYTES_TO_SPARE + MAX_GZIP_RATIO * os.fstat(file.fileno()).st_size


def _bounded(name: str, stream: ByteStream, max_line_bytes: int, most_bytes: float) -> Iterator[bytes]:
    line_no = num_bytes = 0
    # Two more bytes for the end of the line, so that the limit is on its text.
    room = max_line_bytes + 2
    try:
        while line := stream.readline(room):
            line_no += 1
            if len(line) > max_line_bytes and len(line.rstrip(b"\r\n")) > max_line_bytes:
                raise InputError(
                    name,
                    line_no,
                    f"the line is longer than {max_line_bytes:,} bytes",
                    "Split the text, or raise RANKMILL_MAX_LINE_BYTES.",
                )
            num_bytes += len(line)
            if num_bytes > most_bytes:
                raise InputError(
                    name,
                    line_no,
                    f"the gzip file unpacks to more than {MAX_GZIP_RATIO} times its size",
                    "If that is right, unpack it (gunzip) and give the plain file.",
                )
            yield line
    except EOFError as error:
        raise InputError(
            name, line_no + 1, "the gzip stream is truncated", "Copy or compress the file again."
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            name, line_no + 1, f"the gzip stream is corrupt: {error}", "Copy or compress the file again."
        ) from error
    except OSError as error:
        raise unreadable(name, line_no + 1, error) from error


def _decoded(name: str, line_no: int, line: bytes) -> str:
    nul = line.find(b"\0")
    if nul >= 0:
        raise InputError(
            name,
            line_no,
            f"NUL at byte {nul + 1} of the line",
            "Remove it; if the file is UTF-16, save it as UTF-8.",
        )
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        problem = f"not UTF-8: byte {error.start + 1} of the line is 0x{line[error.start]:02x}"
        raise InputError(name, line_no, problem, "Save the file as UTF-8, or remove this line.") from error


def unreadable(path: FilePath, line_no: int | None, error: OSError | ValueError) -> InputError:
    """The operating system's error, as a message for the person who named the file."""
    name = os.fspath(path)
    if isinstance(error, FileNotFoundError):
        folder = Path(name).parent
        seen = "" if folder.is_dir() else f" (nor the folder {folder})"
        return InputError(name, None, f"there is no such file{seen}", "Check the path.")
    if isinstance(error, PermissionError):
        return InputError(
            name, None, "no permission to read it", "Grant it (chmod u+r), or run as its owner."
        )
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return InputError(name, line_no, f"cannot be read: {reason}", "Check the path and the disk it is on.")
