"""Lines come out of plain and gzip files alike, in constant memory, or with the place where they break."""

import gzip
import os
import tracemalloc
import zlib
from pathlib import Path

import pytest

from rankmill.db.runtime.settings import Settings
from rankmill.producer.errors import InputError
from rankmill.producer.sources.candidates import read_candidates
from rankmill.producer.sources.documents import read_documents
from rankmill.producer.sources.file import content_digest
from rankmill.producer.sources.lines import MAX_LINE_BYTES, read_lines
from rankmill.producer.sources.queries import read_queries
from tests.support.processes.people import as_ordinary_person

READERS = [read_documents, read_queries, read_candidates]


def lines_of(path: Path, raw: bytes, max_line_bytes: int = MAX_LINE_BYTES) -> list[tuple[int, str]]:
    path.write_bytes(raw)
    return list(read_lines(path, max_line_bytes))


def refusal(path: Path, max_line_bytes: int = MAX_LINE_BYTES) -> str:
    with pytest.raises(InputError) as caught:
        list(read_lines(path, max_line_bytes))
    assert caught.value.exit_code == 5
    return str(caught.value)


@pytest.mark.parametrize(
    "raw", [b"a\nb\n", b"a\r\nb\r\n", b"a\nb", b"\xef\xbb\xbfa\nb\n", b"\xef\xbb\xbfa\r\nb"]
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_line_ends_byte_order_marks_and_gzip_make_no_difference(
    tmp_path: Path, raw: bytes, compress: type[bytes]
) -> None:
    assert lines_of(tmp_path / "any.name", compress(raw)) == [(1, "a"), (2, "b")]


def test_blank_lines_are_skipped_but_counted(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "f", b"\n  \na\n\r\n\t\nb\n\n") == [(3, "a"), (6, "b")]


def test_separators_other_than_line_feeds_stay_within_the_line(tmp_path: Path) -> None:
    line = "a\u2028b\u0085c\x0bd\re"
    assert lines_of(tmp_path / "f", f"{line}\n".encode()) == [(1, line)]


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    raw = gzip.compress(b"a\nb") + gzip.compress(b"c\nd\n")
    assert lines_of(tmp_path / "f", raw) == [(1, "a"), (2, "bc"), (3, "d")]


def test_the_bound_is_on_the_line_without_its_end(tmp_path: Path) -> None:
    for end in (b"", b"\n", b"\r\n"):
        assert lines_of(tmp_path / "f", b"x" * 1024 + end, 1024) == [(1, "x" * 1024)]
        (tmp_path / "f").write_bytes(b"ok\n" + b"x" * 1025 + end)
        assert refusal(tmp_path / "f", 1024) == (
            f"{tmp_path}/f, line 2: the line is longer than 1,024 bytes. "
            "Split the text, or raise RANKMILL_MAX_LINE_BYTES."
        )


@pytest.mark.parametrize("name", ["long.jsonl", "long.jsonl.gz"])
def test_a_line_of_50_megabytes_is_refused_without_being_read_whole(tmp_path: Path, name: str) -> None:
    with gzip.open(tmp_path / name, "wb", 1) if name.endswith("gz") else (tmp_path / name).open("wb") as file:
        for _ in range(50):
            file.write(b"x" * 10**6)
    tracemalloc.start()
    words = refusal(tmp_path / name)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"{name}, line 1: the line is longer than 16,777,216 bytes" in words
    assert peak_bytes < 40 * 2**20, f"{peak_bytes:,} bytes were held to refuse a line"


def test_the_bound_is_the_settings_default() -> None:
    assert Settings.model_fields["max_line_bytes"].default == MAX_LINE_BYTES


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"\xef\xbb\xbf", "only blank lines"),
        (b"\n \r\n\t\n", "only blank lines"),
        (b"good\nb\xe4d\n", "line 2: not UTF-8: byte 2 of the line is 0xe4. Save the file as UTF-8"),
        (b"good\n\xed\xa0\x80\n", "line 2: not UTF-8: byte 1 of the line is 0xed"),
        (b"good\n\nab\0c\n", "line 3: NUL at byte 3 of the line. Remove it"),
        ("text".encode("utf-16"), "is UTF-16 text, not UTF-8 text. Convert it: iconv"),
        ("text".encode("utf-16-be"), "line 1: NUL at byte 1 of the line. Remove it; if the file is UTF-16"),
        (b"PK\x03\x04rest", "is a zip archive"),
        (b"\xfd7zXZ\x00rest", "is xz-compressed"),
        (b"BZh91AY&SYrest", "is bzip2-compressed"),
        (b"\x28\xb5\x2f\xfdrest", "is zstd-compressed, not UTF-8 text. Decompress it (zstd -d)"),
        (b"PAR1\x15rest", "is a Parquet file"),
        (b"%PDF-1.7", "is a PDF"),
        (b"\x1f\x8b", "line 1: the gzip stream is truncated. Copy or compress the file again."),
        (b"\x1f\x8b\x00 and more than a header", "line 1: the gzip stream is corrupt"),
        (gzip.compress(b"a\n", mtime=0) + b"rubbish", "line 2: the gzip stream is corrupt"),
    ],
)
def test_what_is_not_lines_of_text_is_told(tmp_path: Path, raw: bytes, words: str) -> None:
    (tmp_path / "f").write_bytes(raw)
    assert words in refusal(tmp_path / "f")


@pytest.mark.parametrize("query_id", ["BZh9", "PAR1", "%PDF"])
def test_ids_that_look_like_the_start_of_another_format_are_ids(tmp_path: Path, query_id: str) -> None:
    (tmp_path / "f").write_text(f"{query_id}\td1\n")
    assert [row.query_id for row in read_candidates(tmp_path / "f")] == [query_id]


def test_a_gzip_cut_anywhere_gives_every_whole_line_and_then_the_place(tmp_path: Path) -> None:
    raw = gzip.compress(b"".join(b"%d %x\n" % (i, i * 2654435761) for i in range(3000)))
    for cut in [*range(3, 30), *range(30, len(raw), 997), len(raw) - 8, len(raw) - 1]:
        (tmp_path / "cut.gz").write_bytes(raw[:cut])
        whole = zlib.decompressobj(wbits=31).decompress(raw[:cut]).count(b"\n")
        seen = 0
        with pytest.raises(InputError, match=rf"cut.gz, line {whole + 1}: the gzip stream is truncated"):
            for seen, _ in read_lines(tmp_path / "cut.gz"):  # noqa: B007
                pass
        assert seen == whole


def test_a_gzip_with_a_wrong_byte_is_told(tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(b"".join(b"%d\n" % i for i in range(30000))))
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "f").write_bytes(raw)
    assert "the gzip stream is corrupt: " in refusal(tmp_path / "f")


@pytest.mark.parametrize("reader", [*READERS, content_digest])
def test_what_is_no_readable_file_is_told_by_every_reader(tmp_path: Path, reader: object) -> None:
    assert callable(reader)
    (tmp_path / "locked").write_text("x")
    (tmp_path / "locked").chmod(0)
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    expected = {
        tmp_path: "is a directory, not a file. Name a file in it.",
        tmp_path / "missing.jsonl": "there is no such file. Check the path.",
        tmp_path / "nowhere" / "f": f"there is no such file (nor the folder {tmp_path}/nowhere)",
        tmp_path / "locked" / "f": "cannot be read: Not a directory",
        tmp_path / "loop": "cannot be read: Too many levels of symbolic links",
        tmp_path / ("x" * 300): "cannot be read: File name too long",
        tmp_path / "n\0l": "cannot be read: embedded null byte",
        tmp_path / "pipe": "is not a regular file. Inputs are read more than once",
        Path("/dev/zero"): "is not a regular file",
    }
    for path, words in expected.items():
        with pytest.raises(InputError) as caught:
            list(reader(path))
        assert str(caught.value).startswith(f"{path}: {words}")


def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "locked").write_text("x")
    (tmp_path / "locked").chmod(0)
    with as_ordinary_person(), pytest.raises(InputError, match="no permission to read it"):
        list(read_lines(tmp_path / "locked"))


def test_an_unfinished_reader_leaves_no_file_open(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a\nb\n")
    before = len(list(Path("/proc/self/fd").iterdir()))
    lines = read_lines(tmp_path / "f")
    next(lines)
    lines.close()  # type: ignore[attr-defined]
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_digest_is_of_the_bytes_as_they_lie(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert (
        content_digest(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert content_digest(str(tmp_path / "f")) == content_digest(tmp_path / "f")
